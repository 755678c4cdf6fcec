// Lesson 06: the same noise drawn with less and more guidance, and the numbers that are no colors anymore.
(() => {
  const { button, gallery, lastOf, latest, make, request, row, slider, toggle } = dino
  const N = 4
  const STEPS = 10
  const SLACK = 0.02 // so little outside of [0, 1] isn't seen
  const MANY = 0.05 // a share of numbers outside that is seen
  const MARK = [0.85, 0, 0.75]

  class Guidance extends dino.NetworkElement {
    async prepare({ words }) {
      this.seed = 1
      this.words = words
      await this.draw(1.5)
    }
    build(stage) {
      this.update = latest(() => this.redraw())
      const oninput = () => this.update()
      this.guidance = slider({ label: "guidance", max: 8, step: 0.25, value: 1.5, oninput })
      this.ask = request({ label: "What to draw", value: this.words, onask: oninput })
      this.marks = toggle({ label: "Mark what is no color", onchange: () => this.show() })
      Object.assign(this, gallery("Four pictures from four noises, which stay the same", N, "fresh four"))
      stage.append(
        make("div", { class: "sticky" }, this.guidance.node),
        this.node,
        row(this.ask.node, button("Other noise", () => {
          this.seed++
          this.update()
        }), this.marks.node),
      )
      this.show()
    }
    /** Draw what is asked for. Throws Dino.Problem if the network knows none of the words. */
    async draw(guidance) {
      const asked = { words: this.words, seed: this.seed, guidance }
      const { noisy } = await lastOf(this.model.sample({ ...asked, n: N, steps: STEPS }))
      Object.assign(this, { asked, ends: noisy })
    }
    async redraw() {
      this.words = this.ask.value
      try {
        await this.draw(this.guidance.value)
        this.show()
      } catch (error) {
        this.fail(error)
      }
    }
    show() {
      this.batch(this.ends).forEach((picture, n) => (this.marks.value ? marked(picture) : picture).draw(this.views[n]))
      const { guidance, words } = this.asked
      const outside = this.ends.filter(isOutside).length / this.ends.length
      const distance = meanDistance(this.batch(this.ends.map((value) => Math.min(1, Math.max(0, value)))))
      this.say(
        `At guidance ${guidance.toFixed(2)}, ${(100 * outside).toFixed(1)}% of the numbers are outside of [0, 1], ` +
          `and two of the pictures are ${distance.toFixed(1)} apart. ${this.strangers(words) || effect(guidance, outside)}`,
      )
    }
  }
  const isOutside = (value) => value < -SLACK || value > 1 + SLACK
  /** Return a pale picture, on which each pixel with a number outside of [0, 1] is marked. */
  function marked(picture) {
    const shown = picture.copy()
    const size = picture.height * picture.width
    for (let at = 0; at < size; at++) {
      const places = Array.from({ length: picture.channels }, (_, k) => k * size + at)
      const isMarked = places.some((place) => isOutside(picture.values[place]))
      for (const [k, place] of places.entries()) shown.values[place] = isMarked ? MARK[k] : 0.7 + 0.3 * picture.values[place]
    }
    return shown
  }
  /** Return how far two of the pictures are apart on average, over all pairs. */
  function meanDistance(pictures) {
    const distances = pictures.flatMap((a, n) => pictures.slice(n + 1).map((b) => Math.hypot(...a.values.map((value, k) => value - b.values[k]))))
    return distances.reduce((sum, each) => sum + each) / distances.length
  }
  function effect(guidance, outside) {
    if (guidance === 0) return "The words don't count."
    if (guidance < 1) return "What the words change is weakened."
    if (guidance === 1) return "This is the prediction with the words, as it is."
    const exaggerated = `What the words change is exaggerated ${guidance} times`
    return outside < MANY ? `${exaggerated}.` : `${exaggerated}, and so are the errors. The clamp cuts off what is no color, and the rest is garish.`
  }

  dino.define("dino-guidance", Guidance)
})()
