// Lesson 02: the noise level there is, the level that the network is told, and its prediction.
(() => {
  const { Picture, button, choice, latest, make, panel, pictureView, row, slider, toggle } = dino
  const SEED = 2
  const SIMILAR = 0.05 // levels that differ by less are as good as equal
  const WIDTH = 176

  class TwoLevels extends dino.NetworkElement {
    async prepare({ pictures }) {
      this.pictures = Object.fromEntries(Object.entries(pictures).map(([name, data]) => [name, Picture.from(data)]))
      this.noise = new Dino.Random(SEED).rand(Object.values(this.pictures)[0].values.length)
      this.update = latest(() => this.predict())
    }
    build(stage) {
      const names = Object.fromEntries(Object.keys(this.pictures).map((name) => [name, name]))
      const oninput = () => this.update()
      this.there = slider({ label: "noise there is", value: 0.5, oninput })
      this.told = slider({ label: "level it gets", value: 0.1, oninput })
      this.skips = toggle({ label: "skips", value: true, onchange: oninput })
      this.which = choice({ label: "picture", options: names, value: Object.keys(names)[0], quiet: true, onchange: oninput })
      this.honest = button("Tell it the truth", () => {
        this.told.value = this.there.value
        this.update()
      })
      this.seen = pictureView("What the network is shown", WIDTH)
      this.denoised = pictureView("The prediction of the network", WIDTH)
      this.clean = pictureView("The clean picture", WIDTH)
      stage.append(
        make("div", { class: "sticky" }, this.there.node, this.told.node),
        row(this.honest, this.skips.node, this.which.node),
        make("div", { class: "panels small" },
          panel("shown", this.seen.node),
          panel("predicted", this.denoised.node),
          panel("the clean picture", this.clean.node),
        ),
      )
      this.update()
    }
    async predict() {
      const [there, told, skips] = [this.there.value, this.told.value, this.skips.value]
      const clean = this.pictures[this.which.value]
      const noisy = Dino.mix(clean.values, this.noise, there)
      const ask = async (level, options) => (await this.model.denoise(noisy, level, options)).denoised
      const predictions = await Promise.all([ask(told, { skips }), ask(there, {})])
      Object.assign(this, { prediction: this.picture(predictions[0]), asked: { there, told, skips } })
      this.picture(noisy).draw(this.seen.node)
      this.prediction.draw(this.denoised.node)
      clean.draw(this.clean.node)
      const [error, best] = predictions.map((denoised) => apart(denoised, clean.values))
      const isRight = skips && told === there
      const comparison = isRight ? "" : ` With the true level${skips ? "" : " and skips"} it is ${best.toFixed(3)}.`
      this.say(`${this.effect(there, told, skips)} The prediction is off by ${error.toFixed(3)}.${comparison}`)
    }
    effect(there, told, skips) {
      if (!skips) return "Without skips the exact place of every outline is lost: only coarse shapes come back up."
      if (told < there - SIMILAR) return "The network expects less noise than there is, so it takes noise for picture and leaves it in."
      if (told > there + SIMILAR) return "The network expects more noise than there is, so it wipes out details and exaggerates the rest."
      if (there > 0.97) return "There is nothing but noise, so it answers with the average of all that it knows."
      return "The network knows the level, and removes as much noise as there is."
    }
  }
  /** Return how far two images are apart: the root of the mean square. */
  function apart(a, b) {
    return Math.sqrt(a.reduce((sum, value, k) => sum + (value - b[k]) ** 2, 0) / a.length)
  }

  dino.define("dino-two-levels", TwoLevels)
})()
