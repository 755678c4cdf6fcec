// Lesson 03: a recorded run to scrub through. Predictions, the loss, and the path of the weights with its EMA.
(() => {
  const { Player, Plot, legend, make, panel, row, slider } = dino
  const LOSSES = { "orange thin": "each step", "ink dashed": "held out, weights", blue: "held out, EMA" }
  const PATHS = { "orange thin": "weights", blue: "EMA" }
  const ROWS = ["noisy", "weights", "EMA", "clean"]

  class RecordedRun extends dino.LiveElement {
    build(stage, { recording, image }) {
      this.recording = recording
      this.image = make("img", { src: image, alt: "" })
      this.image.addEventListener("load", () => this.drawPictures())
      this.decay = slider({
        label: "EMA decay", values: recording.decays, value: 0.95, format: String, oninput: () => this.update(),
      })
      this.moment = slider({
        label: "step", values: recording.steps, value: recording.steps[0], format: String,
        oninput: () => {
          this.player.pause()
          this.update()
        },
      })
      this.player = new Player({
        step: () => this.advance(), perSecond: 6, onplay: () => this.atEnd() && this.rewind(),
      })
      this.makePictures()
      this.makeCurve()
      this.makePath()
      const n = recording.weights.toLocaleString("en")
      stage.append(
        make("div", { class: "sticky" },
          row(this.moment.node, this.player.playButton, this.player.stepButton),
          this.decay.node,
        ),
        make("div", { class: "panels" },
          panel("what it predicts, at five noise levels", this.pictures),
          panel("the loss", this.curve.node, { caption: legend(LOSSES) }),
          panel(`the path of ${n} weights, seen in two directions`, this.plane.node, {
            caption: make("div", {}, legend(PATHS), make("p", { class: "note" }, this.stretched)),
          }),
        ),
      )
      this.update()
    }
    get frame() {
      return this.recording.steps.indexOf(this.moment.value)
    }
    atEnd() {
      return this.frame === this.recording.steps.length - 1
    }
    rewind() {
      this.moment.value = this.recording.steps[0]
      this.update()
    }
    advance() {
      if (!this.atEnd()) this.moment.value = this.recording.steps[this.frame + 1]
      this.update()
      return !this.atEnd()
    }
    /** Return the EMA of the path's points: average = decay * average + (1 - decay) * point. */
    average(decay) {
      let [x, y] = this.recording.path[0]
      return this.recording.path.map(([nextX, nextY]) => {
        x = decay * x + (1 - decay) * nextX
        y = decay * y + (1 - decay) * nextY
        return [x, y]
      })
    }

    makePictures() {
      const { size, levels } = this.recording
      this.canvas = make("canvas", {
        class: "pixels", width: size * levels.length, height: size * ROWS.length, role: "img",
        "aria-label": "Five pictures in four rows: noisy, predicted by the weights, predicted by the EMA, and clean",
      })
      const names = (words, place) => {
        return make("div", { class: place, "aria-hidden": "true" }, ...words.map((word) => make("span", {}, `${word}`)))
      }
      const [above, beside] = [names(levels, "levels"), names(ROWS, "rows")]
      this.pictures = make("div", { class: "predictions" }, above, beside, this.canvas)
    }
    drawPictures() {
      const { size, levels, decays } = this.recording
      const context = this.canvas.getContext("2d")
      const first = 2 + this.frame * decays.length // the image begins with the noisy and the clean pictures
      for (const [to, from] of [0, first, first + decays.indexOf(this.decay.value), 1].entries()) {
        const [width, y] = [size * levels.length, to * size]
        context.drawImage(this.image, 0, from * size, width, size, 0, y, width, size)
      }
    }
    makeCurve() {
      const { losses, steps, tested } = this.recording
      const last = steps.at(-1)
      const every = [...losses, ...tested.flat()]
      const [least, most] = [0.85 * Math.min(...every), 1.15 * Math.max(...every)]
      this.curve = new Plot({
        label: "The loss against the steps", width: 330, height: 250, margin: [8, 10, 36, 48],
        x: { from: 0, to: last, ticks: [0, 0.5, 1].map((share) => Math.round(share * last)), label: "step" },
        y: {
          from: least,
          to: most,
          ticks: [0.003, 0.01, 0.03, 0.1, 0.3].filter((tick) => tick > least && tick < most),
          log: true,
        },
      })
      this.curve.add(
        "path", { class: "line thin faint orange", d: this.curve.path(losses.map((loss, k) => [k + 1, loss])) },
      )
      const column = (k) => this.recording.tested.map((scores, frame) => [steps[frame], scores[k]])
      this.heldOut = (k) => this.curve.path(column(k))
      this.curve.add("path", { class: "line dashed ink faint", d: this.heldOut(0) })
      this.emaLoss = this.curve.add("path", { class: "line blue" })
      this.weightsDot = this.curve.add("circle", { class: "dot ink", r: 5 })
      this.emaDot = this.curve.add("circle", { class: "dot blue", r: 6 })
    }
    makePath() {
      const { path } = this.recording
      const axis = (k) => {
        const values = path.map((point) => point[k])
        const [least, most] = [Math.min(...values), Math.max(...values)]
        const edge = 0.08 * (most - least)
        return { from: least - edge, to: most + edge }
      }
      const [along, across] = [axis(0), axis(1)]
      const stretched = (0.7 * (along.to - along.from)) / (across.to - across.from) // the plot is wider than tall
      this.stretched = `up and down is enlarged ${Math.round(stretched / 10) * 10} times`
      this.plane = new Plot({
        label: "The path of the weights and of their EMA in a plane", width: 330, height: 250, margin: [8, 10, 36, 24],
        x: { ...along, label: "where training leads" }, y: { ...across, label: "where steps disagree most" },
      })
      this.plane.add("path", { class: "line thin faint orange dotted", d: this.plane.path(path) })
      this.walked = this.plane.add("path", { class: "line thin orange" })
      this.smooth = this.plane.add("path", { class: "line blue" })
      this.weightsHere = this.plane.add("circle", { class: "dot orange", r: 5 })
      this.emaHere = this.plane.add("circle", { class: "dot blue", r: 6 })
    }
    update() {
      const { steps, path, tested, decays, levels } = this.recording
      const [step, k] = [this.moment.value, decays.indexOf(this.decay.value)]
      const smooth = this.average(this.decay.value)
      this.drawPictures()
      this.emaLoss.setAttribute("d", this.heldOut(k))
      this.curve.move(this.weightsDot, step, tested[this.frame][0])
      this.curve.move(this.emaDot, step, tested[this.frame][k])
      this.walked.setAttribute("d", this.plane.path(path.slice(0, step + 1)))
      this.smooth.setAttribute("d", this.plane.path(smooth.slice(0, step + 1)))
      this.plane.move(this.weightsHere, ...path[step])
      this.plane.move(this.emaHere, ...smooth[step])
      this.say(
        `After ${step} of ${steps.at(-1)} steps the loss on held-out pictures is ` +
          `${tested[this.frame][0].toFixed(4)} with the weights, and ` +
          `${tested[this.frame][k].toFixed(4)} with their EMA. ${this.memory()}`,
      )
    }
    /** Say how far back the EMA looks. */
    memory() {
      const decay = this.decay.value
      if (decay === 0) return "With decay 0 the EMA is the weights themselves."
      return `What went into the EMA counts half after ${(Math.log(0.5) / Math.log(decay)).toFixed(1)} steps.`
    }
  }

  dino.define("dino-recorded-run", RecordedRun)
})()
