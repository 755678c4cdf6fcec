// Lesson 00: the numbers behind the pixels of a picture, channel by channel. They can be changed, cropped and mirrored.
(() => {
  const { Picture, PixelGrid, button, choice, make, panel, pictureView, row, slider, toggle } = dino
  const COLORS = ["red", "green", "blue"]
  const REACH = 2 // pixels that the enlarged part shows on every side of the cursor

  class Pixels extends dino.LiveElement {
    build(stage, { pictures }) {
      this.pictures = Object.fromEntries(Object.entries(pictures).map(([name, data]) => [name, Picture.from(data)]))
      const names = Object.fromEntries(Object.keys(pictures).map((name) => [name, name]))
      this.chosen = Object.keys(pictures)[0]
      this.grid = new PixelGrid({
        label: "Picture. The arrow keys move from pixel to pixel, the space bar paints.",
        size: 320,
        onpoint: () => this.update(),
        onpaint: () => this.paints.value && this.paint(),
      })
      this.nearby = make("div", { class: "nearby", role: "img" })
      this.planes = COLORS.map((color) => pictureView(`The ${color} channel`, 96))
      this.sliders = COLORS.map((color, k) => slider({
        label: `${color} [${k}]`, max: 255, step: 1, value: 0, format: String,
        oninput: () => !this.paints.value && this.paint(),
      }))
      this.paints = toggle({ label: "Paint with these numbers", onchange: () => this.update() })
      this.crop = button("Crop", () => this.change(centerSquare(this.picture)))
      this.which = choice({
        label: "picture", options: names, value: this.chosen, onchange: (name) => this.reset(name), quiet: true,
      })
      const channels = COLORS.map((color, k) => {
        return make("div", { class: `channel ${color}` }, this.planes[k].node, this.sliders[k].node)
      })
      stage.append(
        row(
          this.which.node,
          button("Mirror", () => this.change(mirrored(this.picture))),
          this.crop,
          button("Start again", () => this.reset(this.chosen)),
        ),
        make("div", { class: "panels" },
          panel("point at a pixel, click to keep it", this.grid.node),
          panel("the pixels around it", this.nearby),
        ),
        make("div", { class: "channels" }, ...channels),
        this.paints.node,
      )
      this.reset(this.chosen)
    }
    reset(name) {
      this.chosen = name
      this.change(this.pictures[name].copy())
      this.grid.keep(Math.floor(this.picture.height / 2), Math.floor(this.picture.width / 2))
    }
    change(picture) {
      this.picture = picture
      this.grid.show(picture)
      this.grid.keep(this.grid.row, this.grid.column)
    }
    /** Give the pixel at the cursor the numbers of the sliders. */
    paint() {
      for (const [k, control] of this.sliders.entries()) {
        this.picture.values[this.picture.index(k, this.grid.row, this.grid.column)] = control.value / 255
      }
      this.grid.show(this.picture)
      this.update()
    }
    numbers(at, column) {
      return COLORS.map((_, k) => Math.round(255 * this.picture.at(k, at, column)))
    }
    update() {
      const { row: at, column } = this.grid
      this.crop.disabled = this.picture.height === this.picture.width
      this.grid.node.classList.toggle("paintable", this.paints.value) // so that a finger scrolls the page otherwise
      const numbers = this.numbers(at, column)
      for (const k of COLORS.keys()) {
        if (!this.paints.value) this.sliders[k].value = numbers[k]
        this.planes[k].show(this.picture.channel(k))
      }
      this.showPart(at, column)
      const shape = `(3, ${this.picture.height}, ${this.picture.width})`
      this.say(
        `Row ${at}, column ${column}: picture[:, ${at}, ${column}] is (${numbers.join(", ")}) as bytes, and ` +
          `(${numbers.map((number) => (number / 255).toFixed(2)).join(", ")}) as floats. ` +
          `The picture's shape is ${shape}.`,
      )
    }
    showPart(at, column) {
      const cells = []
      for (let y = at - REACH; y <= at + REACH; y++) {
        for (let x = column - REACH; x <= column + REACH; x++) {
          const inside = y >= 0 && x >= 0 && y < this.picture.height && x < this.picture.width
          const numbers = inside ? this.numbers(y, x) : []
          const style = inside ? `background: rgb(${numbers}); color: ${inkOn(numbers)}` : ""
          const middle = y === at && x === column ? " middle" : ""
          const spans = numbers.map((number) => make("span", {}, String(number)))
          cells.push(make("div", { class: `${inside ? "cell" : "cell outside"}${middle}`, style }, ...spans))
        }
      }
      this.nearby.setAttribute(
        "aria-label",
        `Rows ${at - REACH} to ${at + REACH}, columns ${column - REACH} to ${column + REACH}, with their numbers`,
      )
      this.nearby.replaceChildren(...cells)
    }
  }

  /** Return black or white, whichever is easier to read on a color (WCAG's relative luminance). */
  function inkOn(color) {
    const [r, g, b] = color.map((byte) => (byte <= 10 ? byte / 3295 : ((byte / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff"
  }
  /** Return the picture mirrored left to right, like images.flip(-1). */
  function mirrored(picture) {
    return rearranged(picture, picture.height, picture.width, (at, column) => [at, picture.width - 1 - column])
  }
  /** Return the middle square, like dino's center_square. */
  function centerSquare(picture) {
    const side = Math.min(picture.height, picture.width)
    const [top, left] = [Math.floor((picture.height - side) / 2), Math.floor((picture.width - side) / 2)]
    return rearranged(picture, side, side, (at, column) => [top + at, left + column])
  }
  function rearranged(picture, height, width, from) {
    const made = new Picture(picture.channels, height, width)
    for (let k = 0; k < picture.channels; k++) {
      for (let at = 0; at < height; at++) {
        for (let column = 0; column < width; column++) {
          made.values[made.index(k, at, column)] = picture.at(k, ...from(at, column))
        }
      }
    }
    return made
  }

  dino.define("dino-pixels", Pixels)
})()
