// Lesson 02: all pixels that one pixel of the answer depends on, through convolutions, halvings and a Pool.
(() => {
  const { Picture, PixelGrid, choice, make, panel, pictureView, row, slider, toggle } = dino

  class ReceptiveField extends dino.LiveElement {
    build(stage, { picture }) {
      this.picture = Picture.from(picture)
      this.convolutions = slider({
        label: "convolutions", min: 1, max: 16, step: 1, value: 2, format: String, oninput: () => this.update(),
      })
      this.halvings = choice({
        label: "halvings",
        options: { 0: "none", 1: "one", 2: "two", 3: "three" },
        value: 0,
        onchange: () => this.update(),
      })
      this.pool = toggle({ label: "a Pool", onchange: () => this.update() })
      this.answer = new PixelGrid({
        label: "The answer. The arrow keys choose a pixel.", size: 288, onpoint: () => this.field && this.update(),
      })
      this.seen = pictureView("The input: what the pixel depends on is bright, the rest is dark", 288)
      const side = "The layers from the side: one row of the picture in each layer"
      this.side = make("canvas", { role: "img", "aria-label": side })
      const layers = make("div", { class: "side" }, note("the answer"), this.side, note("the input"))
      stage.append(
        make("div", { class: "sticky" }, this.convolutions.node),
        row(this.halvings.node, this.pool.node),
        make("div", { class: "panels" },
          panel("the answer: point at a pixel, click to keep it", this.answer.node),
          panel("the input: what that pixel sees", this.seen.node),
        ),
        panel("one row of the picture, layer by layer", layers, { wide: true }),
      )
      new MutationObserver(() => this.update()).observe(document.body, { attributeFilter: ["data-md-color-scheme"] })
      this.answer.show(this.picture)
      this.field = []
      this.answer.keep(15, 10)
    }
    /** The layers from the input to the answer. Only the first and the last convolution work at full size. */
    layers() {
      const [n, n_halvings] = [this.convolutions.value, Number(this.halvings.value)]
      const halve = Array(n_halvings).fill("halve")
      const double = Array(n_halvings).fill("double")
      const inner = Array(Math.max(0, n - 2)).fill("convolution")
      if (this.pool.value) inner.splice(Math.ceil(inner.length / 2), 0, "Pool")
      return ["convolution", ...halve, ...inner, ...double, ...(n > 1 ? ["convolution"] : [])]
    }
    update() {
      const { row: at, column } = this.answer
      this.layersNow = this.layers()
      const size = this.picture.width
      const start = { size, rows: only(size, at), columns: only(size, column) }
      this.field = [start]
      for (const layer of [...this.layersNow].reverse()) this.field.push(before(layer, this.field.at(-1)))
      const input = this.field.at(-1)
      this.drawSeen(input)
      this.drawSide()
      const [height, width] = [count(input.rows), count(input.columns)]
      const all = height * width === this.picture.width ** 2
      const pool = this.pool.value ? " The Pool asks the whole picture at once: what is in it, but not where." : ""
      this.say(
        `The pixel in row ${at}, column ${column} depends on ${all ? "all " : ""}` +
          `${height} × ${width} = ${height * width} pixels of the input.${pool}`,
      )
    }
    drawSeen({ rows, columns }) {
      const shown = this.picture.copy()
      const { width } = shown
      for (let k = 0; k < 3; k++) {
        for (let at = 0; at < width; at++) {
          for (let column = 0; column < width; column++) {
            if (!(rows[at] && columns[column])) shown.values[shown.index(k, at, column)] *= 0.13
          }
        }
      }
      this.seen.show(shown)
    }
    /** Draw each layer as a row of cells, the answer on top. Cells that count are bright. */
    drawSide() {
      const [unit, tall, gap] = [12, 9, 2]
      const width = this.picture.width * unit
      this.side.width = width
      this.side.height = this.field.length * (tall + gap)
      const context = this.side.getContext("2d")
      const style = getComputedStyle(this)
      const [lit, dark] = [style.getPropertyValue("--dino-blue"), style.getPropertyValue("--dino-line")]
      for (const [k, { size, columns }] of this.field.entries()) {
        for (let column = 0; column < size; column++) {
          context.fillStyle = columns[column] ? lit : dark
          const cell = width / size
          context.fillRect(column * cell + 0.5, k * (tall + gap), cell - 1, tall)
        }
      }
    }
  }
  function note(words) {
    return make("p", { class: "note" }, words)
  }
  function only(size, place) {
    return Array.from({ length: size }, (_, k) => k === place)
  }
  function count(flags) {
    return flags.filter(Boolean).length
  }
  /** Return what a layer's output depends on in the layer's input: flags for the rows and for the columns. */
  function before(layer, { size, rows, columns }) {
    const step = {
      convolution: [size, (flags) => flags.map((_, k) => Boolean(flags[k - 1] || flags[k] || flags[k + 1]))],
      halve: [2 * size, (flags) => Array.from({ length: 2 * size }, (_, k) => flags[Math.floor(k / 2)])],
      double: [size / 2, (flags) => Array.from({ length: size / 2 }, (_, k) => flags[2 * k] || flags[2 * k + 1])],
      Pool: [size, (flags) => flags.map(() => true)],
    }
    const [newSize, spread] = step[layer]
    return { size: newSize, rows: spread(rows), columns: spread(columns) }
  }

  dino.define("dino-receptive-field", ReceptiveField)
})()
