// The animation on the home page stands still if the system asks for less motion, and has a button that stops it.
document.addEventListener("DOMContentLoaded", function () {
  var image = document.querySelector(".animation img")
  if (image) {
    var moving = image.getAttribute("src")
    var still = image.dataset.still
    var button = document.createElement("button")
    button.type = "button"
    var show = function (moves) {
      image.src = moves ? moving : still
      button.textContent = moves ? "Stop the animation" : "Play the animation"
      button.onclick = function () { show(!moves) }
    }
    show(!matchMedia("(prefers-reduced-motion: reduce)").matches)
    image.closest(".animation").querySelector("figcaption").append(" ", button)
  }
  // Boxes that scroll sideways can be reached by keyboard, and fade at the edge while there is more to see.
  document.querySelectorAll(".frame.wide, .md-typeset__scrollwrap, .arithmatex").forEach(function (box) {
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
