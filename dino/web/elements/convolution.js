// Lesson 02: nine weights of a 3x3 convolution to edit, and a picture to paint. Products, their sum, the feature map.
(() => {
  const { Picture, PixelGrid, button, choice, make, panel, row } = dino
  const NINTH = 1 / 9
  const KERNELS = {
    "right - left": [-1, 0, 1, -2, 0, 2, -1, 0, 1],
    "below - above": [-1, -2, -1, 0, 0, 0, 1, 2, 1],
    blur: Array(9).fill(NINTH),
    sharpen: [0, -1, 0, -1, 5, -1, 0, -1, 0],
    shift: [0, 0, 0, 1, 0, 0, 0, 0, 0],
    copy: [0, 0, 0, 0, 1, 0, 0, 0, 0],
  }

  class Convolution extends dino.LiveElement {
    build(stage, { pictures }) {
      this.pictures = Object.fromEntries(Object.entries(pictures).map(([name, data]) => [name, Picture.from(data)]))
      this.pictures.black = new Picture(1, 32, 32)
      const names = Object.fromEntries(Object.keys(this.pictures).map((name) => [name, name]))
      this.grid = new PixelGrid({
        label: "The picture. The arrow keys move the nine weights over it, the space bar paints.",
        size: 240, onpoint: () => this.update(), onpaint: () => this.paint(),
      })
      this.map = new PixelGrid({
        label: "The feature map. The arrow keys choose a place.",
        size: 240,
        onpoint: (at, column) => this.grid.keep(at, column),
      })
      this.grid.reach = 1
      this.cells = Array.from({ length: 9 }, (_, k) => this.makeCell(k))
      this.sum = make("div", { class: "sum" })
      this.brush = choice({
        label: "pointing", value: "look", quiet: true,
        options: { look: "looks", white: "paints white", black: "paints black" },
        onchange: (brush) => this.grid.node.classList.toggle("paintable", brush !== "look"),
      })
      this.which = choice({
        label: "picture", options: names, value: Object.keys(names)[0], quiet: true, onchange: () => this.reset(),
      })
      this.presets = choice({
        label: "weights", value: "right - left", quiet: true,
        options: Object.fromEntries(Object.keys(KERNELS).map((name) => [name, name])),
        onchange: (name) => this.setWeights(KERNELS[name]),
      })
      this.mapNote = make("p", { class: "note" })
      const nine = make("div", { class: "nine" }, ...this.cells.map((cell) => cell.node))
      stage.append(
        this.presets.node,
        make("div", { class: "panels" },
          panel("the picture: click to keep a place", this.grid.node),
          panel("pixel × weight", make("div", {}, nine, this.sum)),
          panel("the feature map", this.map.node, { caption: this.mapNote }),
        ),
        row(this.which.node, this.brush.node, button("Start again", () => this.reset())),
      )
      this.weights = KERNELS["right - left"].slice()
      this.picture = this.pictures[this.which.value].copy()
      this.showWeights()
      this.grid.show(this.picture)
      this.calculate()
      this.grid.keep(16, 6)
    }
    makeCell(k) {
      const place = `row ${Math.floor(k / 3) + 1}, column ${(k % 3) + 1}`
      const input = make(
        "input", { type: "number", step: 0.5, "aria-label": `Weight in ${place}`, inputmode: "decimal" },
      )
      input.addEventListener("input", () => {
        if (!Number.isFinite(input.valueAsNumber)) return // while a minus sign is being typed
        this.weights[k] = input.valueAsNumber
        this.presets.value = ""
        this.calculate()
        this.update()
      })
      const [pixel, product] = [make("span", { class: "pixel" }), make("span", { class: "product" })]
      return { input, pixel, product, node: make("div", { class: "cell" }, pixel, input, product) }
    }
    setWeights(weights) {
      this.weights = weights.slice()
      this.showWeights()
      this.calculate()
      this.update()
    }
    showWeights() {
      for (const [k, cell] of this.cells.entries()) cell.input.value = +this.weights[k].toFixed(3)
    }
    reset() {
      this.picture = this.pictures[this.which.value].copy()
      this.grid.show(this.picture)
      this.calculate()
      this.update()
    }
    paint() {
      if (this.brush.value === "look") return
      this.picture.values[this.picture.index(0, this.grid.row, this.grid.column)] = this.brush.value === "white" ? 1 : 0
      this.grid.show(this.picture)
      this.calculate()
      this.update()
    }
    pixel(at, column) {
      const inside = at >= 0 && column >= 0 && at < this.picture.height && column < this.picture.width
      return inside ? this.picture.at(0, at, column) : 0 // the ring of zeros
    }
    /** Return the nine pixels under the weights at a place. */
    pixels(at, column) {
      return this.weights.map((_, k) => this.pixel(at + Math.floor(k / 3) - 1, column + (k % 3) - 1))
    }
    /** The convolution, like F.conv2d(picture, weights, padding=1). */
    calculate() {
      this.output = new Picture(1, this.picture.height, this.picture.width)
      for (let at = 0; at < this.picture.height; at++) {
        for (let column = 0; column < this.picture.width; column++) {
          this.output.values[this.output.index(0, at, column)] = sumOf(products(this.pixels(at, column), this.weights))
        }
      }
      this.showMap()
    }
    /** Draw the map: as it is if it could be a picture, and else around mid-gray. */
    showMap() {
      const { values } = this.output
      const signed = values.some((value) => value < -0.001) && Math.abs(sumOf(this.weights)) < 0.5
      const largest = this.largestInside()
      const shown = this.output.copy()
      if (signed) shown.values = values.map((value) => 0.5 + value / largest / 2)
      this.map.show(shown)
      this.mapNote.textContent = signed
        ? `black ${(-largest).toFixed(1)} or less, mid-gray 0, white ${largest.toFixed(1)} or more`
        : "black 0 or less, white 1 or more"
    }
    /** Return the largest size of a number of the map. The margin, where the ring of zeros is an edge, is left out. */
    largestInside() {
      let largest = 0.001
      for (let at = 1; at < this.output.height - 1; at++) {
        for (let column = 1; column < this.output.width - 1; column++) {
          largest = Math.max(largest, Math.abs(this.output.at(0, at, column)))
        }
      }
      return largest
    }
    update() {
      const { row: at, column } = this.grid
      Object.assign(this.map, { row: at, column })
      this.map.place()
      const pixels = this.pixels(at, column)
      const parts = products(pixels, this.weights)
      for (const [k, { node, pixel, product }] of this.cells.entries()) {
        const bright = Math.round(255 * pixels[k])
        node.style.background = `rgb(${bright}, ${bright}, ${bright})`
        node.style.color = pixels[k] > 0.46 ? "#000" : "#fff"
        pixel.textContent = `${pixels[k].toFixed(2)} ×`
        product.textContent = `= ${parts[k].toFixed(2)}`
      }
      const sum = sumOf(parts)
      this.sum.textContent = `sum ${sum.toFixed(2)}`
      this.say(
        `At row ${at}, column ${column} the nine products add up to ${sum.toFixed(2)}. ` +
          "This number is the feature map's pixel there.",
      )
    }
  }
  function products(pixels, weights) {
    return pixels.map((pixel, k) => pixel * weights[k])
  }
  function sumOf(numbers) {
    return numbers.reduce((sum, number) => sum + number, 0)
  }

  dino.define("dino-convolution", Convolution)
})()
