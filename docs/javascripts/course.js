// The film on the home page stands still for those who ask their system for less motion, and when told to.
document.addEventListener("DOMContentLoaded", function () {
  var film = document.querySelector(".film img")
  if (film) {
    var moving = film.getAttribute("src")
    var still = film.dataset.still
    var button = document.createElement("button")
    button.type = "button"
    var show = function (moves) {
      film.src = moves ? moving : still
      button.textContent = moves ? "Stop the film" : "Play the film"
      button.onclick = function () { show(!moves) }
    }
    show(!matchMedia("(prefers-reduced-motion: reduce)").matches)
    film.closest(".film").querySelector("figcaption").append(" ", button)
  }
  // What is scrolled sideways must be within reach of the keyboard.
  document.querySelectorAll(".frame.wide, .md-typeset__scrollwrap, .katex-display, .arithmatex").forEach(function (box) {
    if (box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible") box.tabIndex = 0
  })
})
