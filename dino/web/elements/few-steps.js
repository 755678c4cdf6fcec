// Lesson 07: the same noise in few steps, even ones of size 2 and warped ones of exact size, beside a hundred.
(() => {
  const { Plot, button, gallery, lastOf, latest, make, panel, row, slider } = dino
  const N = 3
  const MANY = 100
  const WARPS = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 20]
  const ROWS = { even: { y: 0.72, color: "blue" }, warped: { y: 0.26, color: "orange" } }

  class FewSteps extends dino.NetworkElement {
    async prepare() {
      this.seed = 1
      await this.draw(8, 0.5)
    }
    build(stage) {
      this.update = latest(() => this.redraw())
      const oninput = () => this.update()
      this.steps = slider({ label: "steps", min: 2, max: 20, step: 1, value: 8, format: String, oninput })
      this.warp = slider({ label: "warp", values: WARPS, value: 0.5, format: String, oninput })
      this.columns = ["many", "even", "warped"].map((name) => [name, gallery(`Three pictures: ${name} steps`, N, "stack")])
      this.plot = new Plot({
        label: "The noise levels of the even and of the warped steps", width: 400, height: 96, margin: [6, 14, 36, 54],
        x: { from: 1, to: 0, ticks: [1, 0.75, 0.5, 0.25, 0], label: "noise level" },
        y: { from: 0, to: 1, ticks: Object.values(ROWS).map(({ y }) => y), format: (at) => Object.keys(ROWS).find((name) => ROWS[name].y === at) },
      })
      const titles = { many: `${MANY} even steps`, even: "even, size 2", warped: "warped, exact" }
      stage.append(
        make("div", { class: "sticky" }, make("div", { class: "settings" }, this.steps.node, this.warp.node)),
        make("div", { class: "columns" }, ...this.columns.map(([name, { node }]) => panel(titles[name], node))),
        make("div", { class: "panels" }, panel("where the steps begin and end", this.plot.node)),
        row(button("Other noise", () => {
          this.seed++
          this.update()
        })),
      )
      this.show()
    }
    /** Draw the same noise in even and in warped steps. */
    async draw(n, warp) {
      const { seed } = this
      const [even, warped] = [Dino.noiseSchedule(n), Dino.warpedSchedule(n, warp)]
      const ends = {
        even: await this.end(seed, even, even.slice(1).fill(2)),
        warped: await this.end(seed, warped, Dino.eulerAtFinal(Dino.stepSizes(warped))),
      }
      Object.assign(this, { ends, asked: { seed, n, warp }, schedules: { even, warped } })
    }
    /** Draw new noise in a hundred steps, to compare with. Meanwhile the reader can go on. */
    async refer() {
      const { seed } = this.asked
      if (this.reference?.seed === seed) return
      const reference = (this.reference = { seed, ends: null })
      const levels = Dino.noiseSchedule(MANY)
      reference.ends = await this.end(seed, levels, levels.slice(1).fill(2))
      if (reference === this.reference) this.show()
    }
    /** Return the pictures at which the sampler arrives, when it isn't asked for anything. */
    async end(seed, schedule, sizes) {
      const noise = new Dino.Random(seed).rand(N * this.model.channels * this.model.size ** 2)
      const denoiser = async (noisy, level) => (await this.model.denoise(noisy, level, { condition: null })).denoised
      return (await lastOf(Dino.denoise(denoiser, noise, schedule, sizes))).noisy
    }
    async redraw() {
      await this.draw(this.steps.value, this.warp.value)
      this.show()
    }
    show() {
      this.refer()
      const many = this.reference.ends
      const nothing = new Float32Array(this.ends.even.length).fill(0.5)
      const shown = { ...this.ends, many: many ?? nothing }
      for (const [name, { views }] of this.columns) this.drawAll(shown[name], views)
      this.showLevels()
      this.say(many ? this.comparison(many) : `The same noise in ${MANY} steps, to compare with, takes a moment.`)
    }
    comparison(many) {
      const { n, warp } = this.asked
      const [even, warped] = [this.ends.even, this.ends.warped].map((ends) => apart(ends, many))
      return (
        `In ${n} steps, the even ones end ${even.toFixed(3)} away from the pictures of ${MANY} steps, and those with a ` +
        `warp of ${warp} ${warped.toFixed(3)}. ${verdict(even, warped)}`
      )
    }
    showLevels() {
      this.plot.marks.replaceChildren()
      for (const [name, { y, color }] of Object.entries(ROWS)) {
        for (const level of this.schedules[name]) this.plot.move(this.plot.add("circle", { class: `dot ${color}`, r: 5 }), level, y)
      }
    }
  }
  /** Return how far two batches are apart, as colors: the root of the mean square. */
  function apart(a, b) {
    const color = (value) => Math.min(1, Math.max(0, value))
    return Math.sqrt(a.reduce((sum, value, k) => sum + (color(value) - color(b[k])) ** 2, 0) / a.length)
  }
  function verdict(even, warped) {
    if (Math.abs(even - warped) < 0.1 * even) return "That makes little difference."
    return warped < even ? "The warped steps are closer." : "The even steps are closer."
  }

  dino.define("dino-few-steps", FewSteps)
})()
