// Lesson 04: the sampler, step by step: the mix, the prediction, and the path of a pixel. With bugs to turn on.
(() => {
  const { PixelGrid, Player, Plot, choice, latest, legend, make, menu, panel, pictureView, row, slider } = dino
  const WIDTH = 168
  const BUGS = {
    none: "none",
    next: "the network gets the next level",
    one: "the network always gets 1",
    clean: "the network gets 1 - level",
    alone: "next_level alone, not next_level / noise_level",
    fresh: "fresh noise in each step",
    clamp: "no clamp at the end",
  }
  const EFFECTS = {
    none: "",
    next: "The network gets too low a level, so it takes noise for detail and keeps it.",
    one: "The network gets level 1 every time. It expects more noise than there is, so it exaggerates the colors.",
    clean: "The network gets 1 minus the level, which is right only in the middle, so it exaggerates at the end.",
    alone: "Too little of the mix is kept, so there is less noise than the level says.",
    fresh: "New noise covers what was already decided, so the picture keeps changing.",
    clamp: "Some values at the end lie outside [0, 1]. Bytes have no place for them: above 255 they begin again at 0.",
  }

  class Sampler extends dino.NetworkElement {
    async prepare() {
      this.update = latest(() => this.walk())
    }
    build(stage) {
      const oninput = () => {
        this.player.pause()
        this.update()
      }
      this.seed = slider({ label: "seed", min: 0, max: 99, step: 1, value: 7, format: String, oninput })
      this.steps = slider({ label: "steps", values: [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50], value: 20, format: String, oninput })
      this.size = slider({
        label: "step size", values: [1, 1.5, 2, 3, null], value: 2,
        format: (size) => (size === null ? "exact" : String(size)), oninput,
      })
      this.spacing = choice({ label: "levels", options: { even: "even", warped: "warped" }, value: "even", onchange: oninput })
      this.bug = menu({ label: "bug", options: BUGS, value: "none", onchange: oninput })
      this.moment = slider({
        label: "after step", min: 0, max: 20, step: 1, value: 10, format: String,
        oninput: () => {
          this.player.pause()
          this.show()
        },
      })
      this.player = new Player({ step: () => this.advance(), perSecond: 6, onplay: () => this.isAtEnd && this.go(0) })
      this.player.stepButton.textContent = "Next step"
      this.grid = new PixelGrid({
        label: "The mix. The arrow keys choose the pixel to follow.", size: WIDTH, onpoint: () => this.mixes && this.show(),
      })
      this.answer = pictureView("The prediction of the network", WIDTH)
      this.end = pictureView("Where it ends", WIDTH)
      this.plot = new Plot({
        label: "The red of the marked pixel, in the mix and in the prediction, against the noise level", width: 330, height: 220,
        x: { from: 1, to: 0, ticks: [1, 0.75, 0.5, 0.25, 0], label: "noise level" },
        y: { from: -0.25, to: 1.25, ticks: [0, 0.5, 1] },
      })
      this.lines = ["orange", "blue"].map((color) => [
        this.plot.add("path", { class: `line faint ${color}` }), this.plot.add("path", { class: `line ${color}` }),
        this.plot.add("circle", { class: `dot ${color}`, r: 5 }),
      ])
      stage.append(
        make("div", { class: "settings" }, this.seed.node, this.steps.node, this.size.node),
        row(this.spacing.node, this.bug.node),
        make("div", { class: "sticky" }, row(this.moment.node, this.player.playButton, this.player.stepButton)),
        make("div", { class: "panels small" },
          panel("the mix: click on a pixel", this.grid.node),
          panel("predicted", this.answer.node),
          panel("where it ends", this.end.node),
          panel("the red of this pixel", this.plot.node, { caption: legend({ orange: "mix", blue: "prediction" }) }),
        ),
      )
      this.grid.show(this.picture(new Float32Array(this.model.channels * this.model.size ** 2)))
      this.say("Drawing …")
      this.update()
    }
    get isAtEnd() {
      return this.moment.value >= this.mixes.length - 1
    }
    /** Take all steps, with the bug if there is one. The share of the way that is shown stays. */
    async walk() {
      const [seed, bug] = [this.seed.value, this.bug.value]
      const { schedule, stepSize } = Dino.stepsOf({ steps: this.steps.value, spacing: this.spacing.value, stepSize: this.size.value })
      if (this.size.value === null) stepSize.splice(0, stepSize.length, ...Dino.eulerAtFinal(Dino.stepSizes(schedule)))
      const condition = this.model.conditionOf("", { seed })
      const random = new Dino.Random(seed)
      let noisy = random.rand(this.model.channels * this.model.size ** 2)
      const [mixes, predictions] = [[noisy], []]
      for (const [k, size] of stepSize.entries()) {
        const [level, next] = [schedule[k], schedule[k + 1]]
        const told = { next, one: 1, clean: 1 - level }[bug] ?? level
        const { denoised } = await this.model.denoise(noisy, told, { condition })
        const guess = Dino.extrapolate(denoised, predictions.at(-1) ?? null, size)
        if (bug === "alone") noisy = Dino.lerp(guess, noisy, next)
        else if (bug === "fresh") noisy = Dino.mix(guess, random.rand(noisy.length), next)
        else noisy = Dino.remix(noisy, guess, level, next)
        predictions.push(denoised)
        mixes.push(noisy)
      }
      const share = this.moment.value / this.moment.input.max
      const isFirst = !this.mixes
      Object.assign(this, { schedule, mixes, predictions, walked: { seed, bug, nSteps: stepSize.length } })
      if (isFirst) this.keepLiveliest()
      this.ends = this.picture(bug === "clamp" ? asBytes(noisy) : noisy)
      this.ends.draw(this.end.node)
      this.moment.input.max = stepSize.length
      this.go(Math.round(share * stepSize.length))
    }
    /** Mark the pixel whose prediction changes most. */
    keepLiveliest() {
      const [first, last] = [this.predictions[0], this.predictions.at(-1)]
      const { size } = this.model
      const change = Array.from({ length: size * size }, (_, k) => Math.abs(last[k] - first[k]))
      const at = change.indexOf(Math.max(...change))
      this.grid.keep(Math.floor(at / size), at % size)
    }
    go(k) {
      this.moment.value = k
      this.show()
    }
    advance() {
      if (!this.isAtEnd) this.go(this.moment.value + 1)
      return !this.isAtEnd
    }
    show() {
      const { schedule, mixes, predictions } = this
      const k = Math.min(this.moment.value, mixes.length - 1)
      const asked = Math.min(k, predictions.length - 1) // after the last step the network isn't asked again
      this.grid.show(this.picture(mixes[k]))
      this.picture(predictions[asked]).draw(this.answer.node)
      const at = this.grid.row * this.model.size + this.grid.column
      for (const [which, values] of [mixes, predictions].entries()) {
        const points = values.map((image, step) => [schedule[step], image[at]])
        const [all, past, dot] = this.lines[which]
        const here = which ? asked : k
        all.setAttribute("d", this.plot.path(points.map(inside)))
        past.setAttribute("d", this.plot.path(points.slice(0, here + 1).map(inside)))
        this.plot.move(dot, ...inside(points[here]))
      }
      const when = k === 0 ? "At the start" : `After step ${k} of ${predictions.length}`
      this.say(
        `${when}, at noise level ${schedule[k].toFixed(2)}, the red of the marked pixel is ${mixes[k][at].toFixed(2)} in the mix; ` +
          `the network predicts ${predictions[asked][at].toFixed(2)}. ${EFFECTS[this.bug.value]}`,
      )
    }
  }
  /** What becomes of values in a file that stores bytes, if nothing clamps them: they wrap around. */
  function asBytes(values) {
    return values.map((value) => (((Math.trunc(255 * value) % 256) + 256) % 256) / 255)
  }
  /** Keep a point of the path inside the plot. */
  function inside([level, value]) {
    return [level, Math.min(1.25, Math.max(-0.25, value))]
  }

  dino.define("dino-sampler", Sampler)
})()
