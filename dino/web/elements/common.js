// What all interactive elements share: loading, controls, pictures of pixels, plots. A classic script, because pages
// opened from a disk can load neither modules nor data with fetch(). The site's build joins this file and those of the
// elements.
const dino = (() => {
  const scriptAddress = document.currentScript.src
  /** Return the address of a script beside this one. */
  const address = (name) => new URL(name, scriptAddress).href

  // ---- making nodes ----

  function fill(node, properties, children) {
    for (const [name, value] of Object.entries(properties)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value)
      else if (value === true) node.setAttribute(name, "")
      else if (value !== false && value !== undefined) node.setAttribute(name, value)
    }
    node.append(...children.filter((child) => child !== null && child !== undefined))
    return node
  }
  /** Make an HTML element: make("p", { class: "note" }, "words", child). */
  function make(tag, properties = {}, ...children) {
    return fill(document.createElement(tag), properties, children)
  }
  /** Make an SVG element. */
  function makeSvg(tag, properties = {}, ...children) {
    return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children)
  }
  let nIds = 0
  const newId = () => `dino-${++nIds}`
  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

  function loadScript(src) {
    return new Promise((resolve, reject) => {
      document.head.append(make("script", { src, onload: resolve, onerror: () => reject(new Error(`cannot load ${src}`)) }))
    })
  }

  // ---- data ----

  const received = {}
  /** Called by a data file, which is a script. */
  function receive(name, data) {
    received[name] = data
  }
  async function load(name) {
    if (!received[name]) await loadScript(address(`elements/${name}.js`))
    return received[name]
  }
  /** Decode base64 to a Uint8Array. */
  function bytes(base64) {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  }

  // ---- the element ----

  /** An element around a figure. It goes live when it comes near the window, and shows the figure until then. */
  class LiveElement extends HTMLElement {
    connectedCallback() {
      if (this.observer) return
      this.observer = new IntersectionObserver((entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return
        this.observer.disconnect()
        this.start()
      }, { rootMargin: this.margin })
      this.observer.observe(this)
    }
    /** How far from the window it goes live. */
    get margin() {
      return "800px"
    }
    async start() {
      const data = await load(this.localName)
      const question = make("p", { class: "question", id: newId() }, this.getAttribute("question"))
      const stage = make("div", { class: "stage" })
      // `aria-busy` keeps screen readers quiet while a slider is being dragged.
      this.status = make("p", { class: "status", role: "status", "aria-live": "polite" })
      const still = button("Show the still figure", () => {
        const shown = this.classList.toggle("shows-still")
        still.setAttribute("aria-expanded", shown)
        still.textContent = shown ? "Hide the still figure" : "Show the still figure"
      }, { class: "still", "aria-expanded": "false" })
      this.build(stage, data)
      const live = { class: "live", role: "group", "aria-labelledby": question.id }
      this.prepend(make("div", live, question, stage, this.status, still))
      this.classList.add("is-live")
    }
    /** Say in one sentence what is to be seen. */
    say(text) {
      this.status.textContent = text
      this.status.setAttribute("aria-busy", "true")
      clearTimeout(this.quiet)
      this.quiet = setTimeout(() => this.status.setAttribute("aria-busy", "false"), 400)
    }
  }
  /** Define a custom element, unless the browser is too old. */
  function define(name, element) {
    if (window.customElements && window.IntersectionObserver) customElements.define(name, element)
  }

  // ---- controls ----

  /** A row with a label, a slider and its value. `values` makes a slider that stops only at them. */
  function slider({ label, min = 0, max = 1, step = 0.01, value, values, format = (x) => x.toFixed(2), oninput }) {
    const input = make("input", { type: "range", min, max: values ? values.length - 1 : max, step: values ? 1 : step })
    const output = make("output", { "aria-hidden": "true" })
    const read = () => (values ? values[input.valueAsNumber] : input.valueAsNumber)
    const show = () => {
      output.textContent = format(read())
      input.setAttribute("aria-valuetext", format(read()))
      const share = (input.valueAsNumber - input.min) / (input.max - input.min)
      input.style.setProperty("--share", `${100 * share}%`)
    }
    const control = {
      node: make("label", { class: "slider" }, make("span", {}, label), input, output),
      input,
      get value() {
        return read()
      },
      set value(x) {
        input.value = values ? values.indexOf(x) : x
        show()
      },
    }
    input.addEventListener("input", () => {
      show()
      oninput(read())
    })
    control.value = value
    return control
  }
  /** Buttons of which one is chosen. `options` are names by their values. */
  function choice({ label, options, value, onchange, quiet = false }) {
    const name = newId()
    const inputs = Object.entries(options).map(([key, title]) => {
      const input = make("input", { type: "radio", name, value: key, checked: key === String(value) })
      input.addEventListener("change", () => onchange(key))
      return [input, make("label", {}, input, make("span", {}, title))]
    })
    const legend = make("legend", quiet ? { class: "hidden" } : {}, label)
    return {
      node: make("fieldset", { class: "choice" }, legend, ...inputs.map(([, node]) => node)),
      get value() {
        return inputs.find(([input]) => input.checked)?.[0].value
      },
      set value(key) {
        for (const [input] of inputs) input.checked = input.value === String(key)
      },
    }
  }
  /** A list of which one entry is chosen. `options` are names by their values. */
  function menu({ label, options, value, onchange }) {
    const entries = Object.entries(options).map(([key, title]) => make("option", { value: key, selected: key === value }, title))
    const select = make("select", { onchange: () => onchange(select.value) }, ...entries)
    return {
      node: make("label", { class: "menu" }, make("span", {}, label), select),
      get value() {
        return select.value
      },
    }
  }
  /** A switch that is on or off. */
  function toggle({ label, value = false, onchange }) {
    const input = make("input", { type: "checkbox", role: "switch", checked: value })
    input.addEventListener("change", () => onchange(input.checked))
    return {
      node: make("label", { class: "toggle" }, input, make("span", {}, label)),
      get value() {
        return input.checked
      },
      set value(on) {
        input.checked = on
      },
    }
  }
  function button(label, onclick, properties = {}) {
    return make("button", { type: "button", onclick, ...properties }, label)
  }
  function row(...children) {
    return make("div", { class: "row" }, ...children)
  }
  /** A field for words, and a button that calls `onask`, as Enter in the field does. */
  function request({ label, value = "", title = "Draw", onask }) {
    const field = make("input", {
      type: "text", class: "ask", "aria-label": label, autocomplete: "off", spellcheck: "false", maxlength: 80,
      enterkeyhint: "go", placeholder: "anything",
    })
    field.value = value
    const node = make("form", { class: "row request" }, field, make("button", { type: "submit", class: "main" }, title))
    node.addEventListener("submit", (event) => {
      event.preventDefault()
      onask()
    })
    return {
      node,
      get value() {
        return field.value
      },
      set value(words) {
        field.value = words
      },
    }
  }
  /** A part of the stage with a title above it and a caption below. */
  function panel(title, node, { wide = false, caption } = {}) {
    const parts = [title ? make("div", { class: "title" }, title) : null, node, caption ?? null]
    return make("div", { class: wide ? "panel wide" : "panel" }, ...parts)
  }

  /** The meaning of colors: legend({ green: "words" }). A color may be followed by " dashed". */
  function legend(meanings) {
    const entries = Object.entries(meanings).map(([color, words]) => {
      const stroke = makeSvg("path", { class: `line ${color}`, d: "M1 4H21" })
      const key = makeSvg("svg", { width: 22, height: 8, class: "plot", "aria-hidden": "true" }, stroke)
      return make("li", {}, key, words)
    })
    return make("ul", { class: "legend" }, ...entries)
  }

  /** Play and Step. Nothing plays until somebody asks. `step` returns whether there is more to come, or a promise of it. */
  class Player {
    constructor({ step, perSecond = 12, onplay = () => {}, labels = ["Play", "Pause"] }) {
      Object.assign(this, { step, perSecond, onplay, labels, run: null })
      this.playButton = button(labels[0], () => (this.run ? this.pause() : this.play()), { class: "main" })
      this.stepButton = button("Step", () => {
        this.pause()
        this.step()
      })
    }
    async play() {
      this.onplay()
      this.playButton.textContent = this.labels[1]
      const run = (this.run = {})
      do await wait(1000 / this.perSecond)
      while (this.run === run && (await this.step()))
      if (this.run === run) this.pause()
    }
    pause() {
      this.run = null
      this.playButton.textContent = this.labels[0]
    }
  }

  // ---- pictures ----

  /** A picture: `values` are its numbers, channel by channel and row by row, most of them in [0, 1]. */
  class Picture {
    constructor(channels, height, width, values = new Float32Array(channels * height * width)) {
      Object.assign(this, { channels, height, width, values })
    }
    /** Decode { shape, bytes } of a data file. */
    static from({ shape, bytes: base64 }) {
      return new Picture(...shape, Float32Array.from(bytes(base64), (byte) => byte / 255))
    }
    index(channel, row, column) {
      return (channel * this.height + row) * this.width + column
    }
    at(channel, row, column) {
      return this.values[this.index(channel, row, column)]
    }
    copy() {
      return new Picture(this.channels, this.height, this.width, this.values.slice())
    }
    channel(k) {
      const size = this.height * this.width
      return new Picture(1, this.height, this.width, this.values.slice(k * size, (k + 1) * size))
    }
    /** Draw on a canvas, one of its pixels for each of ours. CSS enlarges it. */
    draw(canvas) {
      canvas.width = this.width
      canvas.height = this.height
      const image = new ImageData(this.width, this.height)
      const size = this.height * this.width
      for (let place = 0; place < size; place++) {
        for (let k = 0; k < 3; k++) {
          image.data[4 * place + k] = 255 * this.values[this.channels === 3 ? k * size + place : place]
        }
        image.data[4 * place + 3] = 255
      }
      canvas.getContext("2d").putImageData(image, 0, 0)
    }
  }
  /** lerp(a, b, weight) of two pictures: a + weight * (b - a). */
  function lerp(a, b, weight) {
    const mixed = a.copy()
    for (let i = 0; i < mixed.values.length; i++) mixed.values[i] = a.values[i] + weight * (b.values[i] - a.values[i])
    return mixed
  }
  /** Random numbers in [0, 1) that depend on the seed alone (mulberry32). */
  function generator(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0
      let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    }
  }
  /** A canvas that shows a picture and can't be pointed at. */
  function pictureView(label, size) {
    const canvas = make("canvas", { class: "pixels", role: "img", "aria-label": label, style: `width: ${size}px` })
    return { node: canvas, show: (picture) => picture.draw(canvas) }
  }

  /** Several canvases side by side, for pictures that the network drew together. */
  function gallery(label, n, kind = "fresh") {
    const views = Array.from({ length: n }, () => make("canvas", { class: "pixels" }))
    return { node: make("div", { class: kind, role: "img", "aria-label": label }, ...views), views }
  }
  /** Call `onpixel(row, column)` for each pixel of a round spot in a picture. */
  function spot({ height, width }, y, x, diameter, onpixel) {
    const middle = diameter % 2 ? 0 : 0.5 // an even spot has its middle between pixels
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        if (Math.hypot(row - y + middle, column - x + middle) <= diameter / 2) onpixel(row, column)
      }
    }
  }

  /**
   * A picture whose pixels can be pointed at and painted: by mouse, by touch, with the arrow keys and the space bar.
   * A click keeps the pixel: when the mouse leaves the picture, perhaps towards a slider, the cursor goes back there.
   */
  class PixelGrid {
    constructor({ label, size, onpoint, onpaint = null }) {
      Object.assign(this, { onpoint, onpaint, row: 0, column: 0, kept: [0, 0], painting: false, reach: 0 })
      this.canvas = make("canvas", { class: "pixels", "aria-hidden": "true" })
      this.cursor = make("div", { class: "cursor" })
      this.node = make("div", {
        class: "pointable", style: `width: ${size}px`, tabindex: 0, role: "application", "aria-label": label,
        onpointerdown: (event) => this.press(event), onpointermove: (event) => this.hover(event),
        onpointerup: () => (this.painting = false), onpointercancel: () => (this.painting = false),
        onpointerleave: () => this.point(...this.kept),
        onkeydown: (event) => this.key(event),
      }, this.canvas, this.cursor)
    }
    show(picture) {
      Object.assign(this, { height: picture.height, width: picture.width })
      picture.draw(this.canvas)
      this.place()
    }
    /** Put the cursor around a pixel, and around `reach` more on every side. */
    place() {
      const [top, left] = [Math.max(0, this.row - this.reach), Math.max(0, this.column - this.reach)]
      const bottom = Math.min(this.height, this.row + this.reach + 1)
      const right = Math.min(this.width, this.column + this.reach + 1)
      Object.assign(this.cursor.style, {
        top: `${(100 * top) / this.height}%`, left: `${(100 * left) / this.width}%`,
        height: `${(100 * (bottom - top)) / this.height}%`, width: `${(100 * (right - left)) / this.width}%`,
      })
    }
    /** Put the cursor on a pixel and keep it there. */
    keep(row, column) {
      this.point(row, column)
      this.kept = [this.row, this.column]
    }
    point(row, column) {
      this.row = Math.min(this.height - 1, Math.max(0, row))
      this.column = Math.min(this.width - 1, Math.max(0, column))
      this.place()
      this.onpoint(this.row, this.column)
    }
    pointFrom(event) {
      const box = this.canvas.getBoundingClientRect()
      const row = Math.floor(((event.clientY - box.top) / box.height) * this.height)
      const column = Math.floor(((event.clientX - box.left) / box.width) * this.width)
      this.point(row, column)
    }
    press(event) {
      if (event.button > 0) return
      this.pointFrom(event)
      this.kept = [this.row, this.column]
      if (!this.onpaint) return
      this.node.setPointerCapture(event.pointerId)
      this.painting = true
      this.onpaint(this.row, this.column)
    }
    hover(event) {
      const [row, column] = [this.row, this.column]
      this.pointFrom(event)
      if (row === this.row && column === this.column) return
      if (this.painting) this.onpaint(this.row, this.column)
    }
    key(event) {
      const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
      if (event.key in moves) this.keep(this.row + moves[event.key][0], this.column + moves[event.key][1])
      else if ((event.key === " " || event.key === "Enter") && this.onpaint) this.onpaint(this.row, this.column)
      else return
      event.preventDefault()
    }
  }

  // ---- plots ----

  /** A plot in SVG with two axes: { from, to, label, ticks, format, log }. */
  class Plot {
    constructor({ label, x, y, width = 320, height = 210, margin = [8, 12, 36, 42] }) {
      const [top, right, bottom, left] = margin
      Object.assign(this, { x, y, box: { top, left, right: width - right, bottom: height - bottom } })
      const shape = { viewBox: `0 0 ${width} ${height}`, style: `width: ${width}px` }
      this.node = makeSvg("svg", { class: "plot", role: "img", "aria-label": label, ...shape })
      this.axes()
      this.marks = makeSvg("g")
      this.node.append(this.marks)
    }
    share({ from, to, log }, value) {
      return log ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from)
    }
    px(value) {
      return this.box.left + this.share(this.x, value) * (this.box.right - this.box.left)
    }
    py(value) {
      return this.box.bottom - this.share(this.y, value) * (this.box.bottom - this.box.top)
    }
    axes() {
      const { top, left, right, bottom } = this.box
      const text = (x, y, words, more = {}) => makeSvg("text", { x, y, ...more }, words)
      for (const value of this.x.ticks ?? []) {
        const at = this.px(value)
        this.node.append(makeSvg("path", { class: "tick", d: `M${at} ${bottom}V${top}` }))
        this.node.append(text(at, bottom + 14, (this.x.format ?? String)(value), { "text-anchor": "middle" }))
      }
      for (const value of this.y.ticks ?? []) {
        const at = this.py(value)
        this.node.append(makeSvg("path", { class: "tick", d: `M${left} ${at}H${right}` }))
        this.node.append(text(left - 6, at + 4, (this.y.format ?? String)(value), { "text-anchor": "end" }))
      }
      this.node.append(makeSvg("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` }))
      const centered = { "text-anchor": "middle" }
      if (this.x.label) this.node.append(text((left + right) / 2, bottom + 31, this.x.label, centered))
      const transform = `translate(11 ${(top + bottom) / 2}) rotate(-90)`
      if (this.y.label) this.node.append(text(0, 0, this.y.label, { ...centered, transform }))
    }
    /** Add a mark, such as plot.add("path", { class: "line blue" }). */
    add(tag, properties, ...children) {
      const mark = makeSvg(tag, properties, ...children)
      this.marks.append(mark)
      return mark
    }
    /** Return the `d` of a path through points [x, y]. Points that are not finite break it. */
    path(points) {
      let pen = "M"
      return points.map(([x, y]) => {
        if (!Number.isFinite(y)) return ((pen = "M"), "")
        const part = `${pen}${this.px(x).toFixed(1)} ${this.py(y).toFixed(1)}`
        pen = "L"
        return part
      }).join("")
    }
    move(dot, x, y) {
      dot.setAttribute("cx", this.px(x))
      dot.setAttribute("cy", this.py(y))
    }
  }

  return {
    LiveElement, PixelGrid, Picture, Player, Plot,
    address, button, bytes, choice, define, gallery, generator, legend, lerp, load, loadScript, make, makeSvg, menu,
    newId, panel, pictureView, receive, request, row, slider, spot, toggle,
  }
})()
