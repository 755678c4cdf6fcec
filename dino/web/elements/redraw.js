// Lesson 04: a drawing of the reader's, hidden under noise and drawn anew by the sampler.
(() => {
  const { Picture, PixelGrid, button, choice, latest, make, panel, pictureView, row, slider, spot } = dino
  const WIDTH = 240
  const COLORS = {
    green: [70, 160, 80], teal: [50, 160, 165], blue: [70, 120, 205], purple: [140, 90, 190], pink: [235, 130, 170],
    red: [215, 70, 60], orange: [240, 150, 50], yellow: [245, 210, 70], black: [20, 20, 20], white: [255, 255, 255],
  }

  class Redraw extends dino.NetworkElement {
    async prepare({ sketch }) {
      this.drawing = Picture.from(sketch)
      this.seed = 1
      this.update = latest(() => this.redraw())
    }
    build(stage, { sketch }) {
      this.level = slider({ label: "start from level", min: 0.05, max: 1, value: 0.75, oninput: () => this.update() })
      this.brush = slider({ label: "brush", min: 1, max: 5, step: 1, value: 3, format: String, oninput: () => {} })
      const names = Object.fromEntries(Object.keys(COLORS).map((name) => [name, name]))
      this.color = choice({ label: "color", options: names, value: "purple", quiet: true, onchange: () => {} })
      this.color.node.classList.add("colors")
      for (const input of this.color.node.querySelectorAll("input")) {
        input.parentNode.style.setProperty("--color", `rgb(${COLORS[input.value]})`)
        input.parentNode.title = input.value
      }
      this.grid = new PixelGrid({
        label: "Your drawing. The arrow keys move the brush, the space bar paints.", size: WIDTH,
        onpoint: () => {}, onpaint: (y, x) => this.paint(y, x),
      })
      this.grid.node.classList.add("paintable")
      this.start = pictureView("Your drawing under noise", WIDTH / 2)
      this.result = pictureView("Your drawing, redrawn", WIDTH)
      const set = (picture) => () => {
        this.drawing = picture()
        this.changed()
      }
      const { channels, height, width } = this.drawing
      const empty = () => new Picture(channels, height, width, new Float32Array(this.drawing.values.length).fill(1))
      stage.append(
        make("div", { class: "sticky" }, this.level.node),
        make("div", { class: "panels" },
          panel("draw here", this.grid.node, { caption: this.color.node }),
          panel("redrawn", this.result.node),
          panel("where it starts", this.start.node),
        ),
        row(
          this.brush.node,
          button("Other noise", () => {
            this.seed++
            this.update()
          }, { class: "main" }),
          button("Empty", set(empty)),
          button("The first drawing", set(() => Picture.from(sketch))),
        ),
      )
      this.changed()
      this.grid.keep(this.drawing.height >> 2, this.drawing.width >> 2)
    }
    changed() {
      this.grid.show(this.drawing)
      this.say("Drawing …")
      this.update()
    }
    /** Paint a round spot around a pixel. */
    paint(y, x) {
      spot(this.drawing, y, x, this.brush.value, (row, column) => {
        COLORS[this.color.value].forEach((byte, k) => (this.drawing.values[this.drawing.index(k, row, column)] = byte / 255))
      })
      this.changed()
    }
    async redraw() {
      const [from, { seed }] = [this.level.value, this]
      const options = { seed, start: this.drawing.values.slice(), from, condition: null }
      let last
      for await (last of this.model.sample(options)) if (last.k === 0) this.picture(last.noisy).draw(this.start.node)
      this.redrawn = this.picture(last.noisy)
      this.redrawn.draw(this.result.node)
      this.say(`Redrawn from level ${from.toFixed(2)}. ${effect(from)}`)
    }
  }
  function effect(from) {
    if (from < 0.4) return "With so little noise nearly all of your drawing stays, clumsy lines and all."
    if (from < 0.65) return "The shapes stay, and their edges are drawn anew."
    if (from < 0.9) return "The colors and the large shapes stay. The network decides the rest."
    return from < 1 ? "Little more than the color of your drawing is left." : "Nothing is left of your drawing: all of it is new."
  }

  dino.define("dino-redraw", Redraw)
})()
