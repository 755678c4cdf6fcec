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
  // What is scrolled sideways must be within reach of the keyboard, and show that there is more: its edge fades.
  document.querySelectorAll(".frame.wide, .md-typeset__scrollwrap, .katex-display, .arithmatex").forEach(function (box) {
    if (getComputedStyle(box).overflowX === "visible") return
    var look = function () {
      var hidden = box.scrollWidth - box.clientWidth
      if (hidden > 1) box.tabIndex = 0
      box.classList.toggle("more", hidden > 1 && box.scrollLeft < hidden - 1)
    }
    box.addEventListener("scroll", look, { passive: true })
    new ResizeObserver(look).observe(box)
    look()
  })
})
