// Lesson 06: a part of a picture is kept, and the sampler draws the rest to fit. The reader brushes the part.
(() => {
  const { Picture, PixelGrid, button, choice, gallery, lastOf, latest, make, panel, request, row, slider, spot } = dino
  const WIDTH = 240
  const N = 4
  const GUIDANCE = 2
  const KEPT_COLUMNS = 14 // at first, as in the figure
  const [LIGHT, DARK] = [0.75, 0.68] // of the squares where the picture is free

  class Inpaint extends dino.NetworkElement {
    async prepare({ pictures }) {
      this.known = Object.fromEntries(Object.entries(pictures).map(([name, data]) => [name, Picture.from(data)]))
      this.name = Object.keys(pictures)[0]
      const { height, width } = this.picked
      this.mask = Float32Array.from({ length: height * width }, (_, at) => (at % width < KEPT_COLUMNS ? 1 : 0))
      this.seed = 1
      await this.draw("")
    }
    /** The picture of which a part is kept. */
    get picked() {
      return this.known[this.name]
    }
    build(stage) {
      this.update = latest(() => this.redraw())
      const oninput = () => this.update()
      const names = Object.fromEntries(Object.keys(this.known).map((name) => [name, name]))
      this.which = choice({
        label: "picture", options: names, value: this.name, quiet: true,
        onchange: (name) => {
          this.name = name
          this.changed()
        },
      })
      this.action = choice({ label: "The brush", options: { frees: "frees", keeps: "keeps" }, value: "frees", onchange: () => {} })
      this.brush = slider({ label: "brush", min: 1, max: 9, step: 1, value: 5, format: String, oninput: () => {} })
      this.ask = request({ label: "What the new part should show", title: "Ask", onask: oninput })
      this.grid = new PixelGrid({
        label: "The picture. The arrow keys move the brush, the space bar paints what is free.", size: WIDTH,
        onpoint: () => {}, onpaint: (y, x) => this.paint(y, x),
      })
      this.grid.node.classList.add("paintable")
      Object.assign(this, gallery("Four pictures with the same kept part", N, "fresh two"))
      this.node.style.width = `${WIDTH}px`
      const all = (kept) => () => {
        this.mask.fill(kept)
        this.changed()
      }
      stage.append(
        make("div", { class: "panels" },
          panel("brush over what should be new", this.grid.node, { caption: row(this.action.node) }),
          panel("drawn anew, from four noises", this.node),
        ),
        row(this.brush.node, this.ask.node),
        row(
          button("Other noise", () => {
            this.seed++
            this.update()
          }, { class: "main" }),
          button("Keep all", all(1)), button("Free all", all(0)), this.which.node,
        ),
      )
      this.showPicture()
      this.grid.keep(this.picked.height >> 1, this.picked.width >> 1)
      this.show()
    }
    changed() {
      this.showPicture()
      this.say("Drawing …")
      this.update()
    }
    paint(y, x) {
      const kept = this.action.value === "keeps" ? 1 : 0
      spot(this.picked, y, x, this.brush.value, (row, column) => (this.mask[row * this.picked.width + column] = kept))
      this.changed()
    }
    /** Show the picture, with gray squares where it is free. */
    showPicture() {
      const shown = this.picked.copy()
      const { width } = shown
      const size = this.mask.length
      this.mask.forEach((kept, at) => {
        const gray = (at + Math.floor(at / width)) % 2 ? LIGHT : DARK
        for (let k = 0; k < shown.channels && !kept; k++) shown.values[k * size + at] = gray
      })
      this.grid.show(shown)
    }
    /** Draw what is free. Throws Dino.Problem if the network knows none of the words. */
    async draw(words) {
      const { model, seed, name } = this
      const mask = this.mask.slice()
      const options = { n: N, seed, known: this.picked.values, mask, condition: this.conditionOf(words), guidance: GUIDANCE }
      const { noisy } = await lastOf(model.sample(options))
      Object.assign(this, { ends: noisy, asked: { words, seed, name, mask } })
    }
    /** The condition has no words but those that were asked for: others could contradict the part that is kept. */
    conditionOf(words) {
      if (!this.model.conditionOf(words) || !words.trim()) return null
      return Dino.complete(Dino.parseRequest(words, this.model.vocabulary), this.model.vocabulary, [], null)
    }
    async redraw() {
      try {
        await this.draw(this.ask.value)
        this.show()
      } catch (error) {
        this.fail(error)
      }
    }
    show() {
      this.drawAll(this.ends, this.views)
      const { mask, words } = this.asked
      const free = mask.filter((kept) => !kept).length
      this.say(`${free} of ${mask.length} pixels are drawn anew. ${this.strangers(words) || effect(free / mask.length, words.trim())}`)
    }
  }
  function effect(free, words) {
    if (free === 0) return "Everything is kept, so there is nothing to draw."
    if (free === 1) return "Nothing is kept: these are new pictures."
    return words ? `The new part is asked to be: ${words}. The network sees the rest, too.` : "Every other pixel is as it was, and the network sees it."
  }

  dino.define("dino-inpaint", Inpaint)
})()
