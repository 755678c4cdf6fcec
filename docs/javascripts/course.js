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
  // On paper, figures that haven't been in the window yet are shown too.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("img[loading]").forEach(function (image) { image.loading = "eager" })
  })
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

// Ticks: a box beside each exercise's heading, and in the menu how many of a lesson are done. The browser keeps them,
// also for pages that are opened from a disk. Without JavaScript or without storage, there are none.
document.addEventListener("DOMContentLoaded", function () {
  var KEY = "dino-diffusion/done" // {"01": {"total": 3, "done": ["1.1"]}, ...}
  var read = function () {
    try { return JSON.parse(localStorage.getItem(KEY)) || {} } catch (error) { return {} }
  }
  var write = function (all) {
    try { localStorage.setItem(KEY, JSON.stringify(all)) } catch (error) { return false }
    return true
  }
  if (!write(read())) return

  var lessonOf = function (address) {
    var found = /lessons\/(\d\d)-[^/]*\.html/.exec(address)
    return found && found[1]
  }
  // What a lesson's links in the menu say after its title. The sentence is for screen readers.
  var showInMenu = function () {
    var all = read()
    document.querySelectorAll(".md-nav__link[href]").forEach(function (link) {
      var lesson = all[lessonOf(link.href.split("#")[0])]
      if (link.getAttribute("href").includes("#")) return
      var note = link.querySelector(".progress")
      if (note) note.remove()
      if (!lesson || !lesson.done.length) return
      var isWhole = lesson.done.length >= lesson.total
      note = document.createElement("span")
      note.className = "progress"
      note.innerHTML = '<span aria-hidden="true"></span><span class="unseen"></span>'
      note.firstChild.textContent = isWhole ? "✓" : lesson.done.length + "/" + lesson.total
      note.lastChild.textContent = isWhole ? ", all exercises done" : ", " + lesson.done.length + " of " + lesson.total + " exercises done"
      link.append(note)
    })
  }
  var boxes = [], here = lessonOf(location.href)
  // This lesson's ticks: what is stored, without exercises that a newer version of the lesson no longer has.
  var own = function () {
    var lesson = read()[here] || { done: [] }
    var known = boxes.map(function (box) { return box.name })
    return { total: boxes.length, done: known.filter(function (name) { return lesson.done.includes(name) }) }
  }
  var store = function (lesson) {
    var all = read()
    all[here] = lesson
    write(all)
    showInMenu()
  }
  if (here) {
    document.querySelectorAll(".md-typeset :is(h2, h3)").forEach(function (heading) {
      var found = /^(?:Exercise )?(\d\.\d):? (\w+)/.exec(heading.textContent)
      // Sections have numbers too, so the exercise must stand below the heading.
      if (!found || !(heading.textContent.startsWith("Exercise ") || heading.matches(":has(+ .exercise)"))) return
      var label = document.createElement("label")
      var box = document.createElement("input")
      label.className = "done"
      box.type = "checkbox"
      box.name = found[1]
      box.setAttribute("aria-label", "Exercise " + found[1] + " is done")
      box.addEventListener("change", function () {
        var lesson = own()
        lesson.done = boxes.filter(function (each) { return each === box ? box.checked : lesson.done.includes(each.name) }).map(function (each) { return each.name })
        store(lesson)
      })
      label.append(box, " done")
      heading.after(label)
      boxes.push(box)
    })
    if (boxes.length) store(own())
    var look = function () {
      var lesson = own()
      boxes.forEach(function (box) { box.checked = lesson.done.includes(box.name) })
    }
    look()
    window.addEventListener("storage", function () { look(); showInMenu() }) // another tab
  }
  showInMenu()
})
