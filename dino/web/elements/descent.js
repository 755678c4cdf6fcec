// Lesson 03: a ball on the loss surface of a network with two weights, which goes where gradient descent takes it.
(() => {
  const { Picture, Player, Plot, button, make, panel, pictureView, row, slider, toggle } = dino
  const SCALE = { from: -0.75, to: 1.75, ticks: [-0.5, 0, 0.5, 1, 1.5], label: "scale" }
  const SHIFT = { from: -0.75, to: 1.25, ticks: [-0.5, 0, 0.5, 1], label: "shift" }
  const RATES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.72, 0.75, 0.8]
  const N_STEPS = 60
  const BAND = 0.14 // in roots of the loss above its least, so that the bands of a bowl are evenly wide
  const NUDGE = 0.05 // how far an arrow key moves the ball

  class Descent extends dino.LiveElement {
    build(stage, { means, noisy, clean }) {
      this.means = means
      ;[this.noisy, this.clean] = [Picture.from(noisy), Picture.from(clean)]
      this.start = [1.3, 0.8]
      this.rate = slider({
        label: "learning rate", values: RATES, value: 0.1, format: String, oninput: () => this.restart(),
      })
      this.clears = toggle({ label: "zero_grad()", value: true, onchange: () => this.restart() })
      this.player = new Player({
        step: () => this.step(),
        perSecond: 5,
        onplay: () => this.isOver() && this.restart(),
        labels: ["Let it go", "Pause"],
      })
      this.makeSurface()
      this.makeCurve()
      this.prediction = pictureView("The network's prediction, with the weights where the ball is", 88)
      const shown = [["noisy", this.noisy], ["clean", this.clean]].map(([name, picture]) => {
        const view = pictureView(`The ${name} picture`, 88)
        view.show(picture)
        return panel(name, view.node)
      })
      stage.append(
        row(this.rate.node, this.clears.node),
        make("div", { class: "panels" },
          panel("the loss, bluer where higher: click to place the ball", this.surfaceNode),
          panel("the loss at each step", this.curve.node),
        ),
        row(this.player.playButton, this.player.stepButton, button("Back to the start", () => this.restart())),
        make("div", { class: "panels" }, shown[0], panel("predicted", this.prediction.node), shown[1]),
        make("p", { class: "formula" }, "Two weights: ", make("code", {}, "predicted = scale * noisy + shift")),
      )
      this.restart()
    }

    // ---- the network: denoised = scale * noisy + shift ----

    /** The mean squared error of its predictions, over many pictures. */
    loss([scale, shift]) {
      const m = this.means
      const predictedSquared = scale ** 2 * m.noisySquared + 2 * scale * shift * m.noisy + shift ** 2
      return predictedSquared - 2 * (scale * m.noisyTimesClean + shift * m.clean) + m.cleanSquared
    }
    /** The slopes of the loss: what backward() computes. */
    slopes([scale, shift]) {
      const m = this.means
      const ofScale = 2 * (scale * m.noisySquared + shift * m.noisy - m.noisyTimesClean)
      return [ofScale, 2 * (scale * m.noisy + shift - m.clean)]
    }
    /** The weights with the least loss. */
    best() {
      const m = this.means
      const scale = (m.noisyTimesClean - m.noisy * m.clean) / (m.noisySquared - m.noisy ** 2)
      return [scale, m.clean - scale * m.noisy]
    }
    /** One step of gradient descent. Returns whether there is more to come. */
    step() {
      if (this.isOver()) return false
      const slopes = this.slopes(this.weights)
      this.grad = this.clears.value ? slopes : slopes.map((slope, k) => slope + this.grad[k])
      const uphill = slopes[0] * this.grad[0] + slopes[1] * this.grad[1] < 0
      this.weights = this.weights.map((weight, k) => weight - this.rate.value * this.grad[k])
      const after = this.slopes(this.weights)
      const jumped = after[0] * slopes[0] + after[1] * slopes[1] < 0
      this.path.push(this.weights)
      const crossed = jumped ? "It jumped across the valley." : "It went downhill."
      this.update(uphill ? "The piled-up slopes carry it uphill." : crossed)
      return !this.isOver()
    }
    isOver() {
      return this.path.length > N_STEPS || this.loss(this.weights) > 1e4
    }
    restart() {
      this.player.pause()
      this.weights = this.start
      this.grad = [0, 0]
      this.path = [this.start]
      this.update("Let the ball go.")
    }

    // ---- what is seen ----

    makeSurface() {
      const plot = new Plot({ label: "", x: SCALE, y: SHIFT, width: 350, height: 300, margin: [8, 10, 36, 44] })
      this.surface = plot
      const { left, right, top, bottom } = plot.box
      const clip = dino.newId()
      const area = { x: left, y: top, width: right - left, height: bottom - top }
      plot.add("clipPath", { id: clip }, dino.makeSvg("rect", area))
      plot.add("image", { href: this.bands(), preserveAspectRatio: "none", ...area })
      const inside = plot.add("g", { "clip-path": `url(#${clip})` })
      this.trail = inside.appendChild(dino.makeSvg("path", { class: "line thin ink" }))
      this.stops = inside.appendChild(dino.makeSvg("path", { class: "bar ink" }))
      const [bestX, bestY] = this.best()
      plot.add("path", { class: "line green", d: `M${plot.px(bestX) - 5} ${plot.py(bestY)}h10m-5 -5v10` })
      this.ball = inside.appendChild(dino.makeSvg("circle", { class: "dot orange", r: 8 }))
      plot.node.setAttribute("aria-hidden", "true")
      this.surfaceNode = make("div", {
        class: "pointable", tabindex: 0, role: "application",
        "aria-label": "The loss surface. The arrow keys move the ball's start.",
        onpointerdown: (event) => this.drop(event), onpointermove: (event) => event.buttons === 1 && this.drop(event),
        onkeydown: (event) => this.nudge(event),
      }, plot.node)
    }
    /** Draw the surface as bands between lines of equal loss. Returns the address of the image. */
    bands() {
      const canvas = make("canvas", { width: 448, height: 384 })
      const image = new ImageData(canvas.width, canvas.height)
      const least = this.loss(this.best())
      const band = (x, y) => {
        const scale = SCALE.from + ((x + 0.5) / canvas.width) * (SCALE.to - SCALE.from)
        const shift = SHIFT.to - ((y + 0.5) / canvas.height) * (SHIFT.to - SHIFT.from)
        return Math.floor(Math.sqrt(this.loss([scale, shift]) - least) / BAND)
      }
      for (let y = 0; y < canvas.height; y++) {
        for (let x = 0; x < canvas.width; x++) {
          const here = band(x, y)
          const isLine = here !== band(x + 1, y) || here !== band(x, y + 1)
          image.data.set([46, 124, 190, Math.min(220, 12 * here + (isLine ? 70 : 0))], 4 * (y * canvas.width + x))
        }
      }
      canvas.getContext("2d").putImageData(image, 0, 0)
      return canvas.toDataURL()
    }
    makeCurve() {
      this.curve = new Plot({
        label: "The loss against the steps", width: 310, height: 300, margin: [8, 10, 36, 44],
        x: { from: 0, to: N_STEPS, ticks: [0, 20, 40, 60], label: "step" },
        y: { from: 0.05, to: 10, ticks: [0.1, 1, 10], log: true, label: "loss" },
      })
      const least = this.loss(this.best())
      this.curve.add("path", { class: "line thin dashed green", d: this.curve.path([[0, least], [N_STEPS, least]]) })
      this.line = this.curve.add("path", { class: "line orange" })
    }
    update(words) {
      const [scale, shift] = this.weights
      const loss = this.loss(this.weights)
      const { surface } = this
      this.trail.setAttribute("d", surface.path(this.path))
      const stop = ([x, y]) => `M${surface.px(x) - 2} ${surface.py(y)}a2 2 0 1 0 4 0a2 2 0 1 0 -4 0`
      this.stops.setAttribute("d", this.path.map(stop).join(""))
      surface.move(this.ball, scale, shift)
      this.line.setAttribute("d", this.curve.path(this.path.map((weights, k) => [k, Math.min(10, this.loss(weights))])))
      const predicted = this.noisy.copy()
      predicted.values = predicted.values.map((value) => scale * value + shift)
      this.prediction.show(predicted)
      const isGone = scale < SCALE.from || scale > SCALE.to || shift < SHIFT.from || shift > SHIFT.to
      this.say(
        `Step ${this.path.length - 1}: scale ${scale.toFixed(2)}, shift ${shift.toFixed(2)}, ` +
          `loss ${number(loss)}. ${words}${isGone ? " The ball is off the map." : ""}`,
      )
    }
    drop(event) {
      const box = this.surface.node.getBoundingClientRect()
      const unit = box.width / 350
      const { left, right, top, bottom } = this.surface.box
      const across = ((event.clientX - box.left) / unit - left) / (right - left)
      const up = (bottom - (event.clientY - box.top) / unit) / (bottom - top)
      this.place(SCALE.from + across * (SCALE.to - SCALE.from), SHIFT.from + up * (SHIFT.to - SHIFT.from))
    }
    nudge(event) {
      const moves = { ArrowLeft: [-NUDGE, 0], ArrowRight: [NUDGE, 0], ArrowDown: [0, -NUDGE], ArrowUp: [0, NUDGE] }
      if (!(event.key in moves)) return
      event.preventDefault()
      this.place(...this.start.map((weight, k) => weight + moves[event.key][k]))
    }
    place(scale, shift) {
      this.start = [Math.min(SCALE.to, Math.max(SCALE.from, scale)), Math.min(SHIFT.to, Math.max(SHIFT.from, shift))]
      this.restart()
    }
  }
  function number(loss) {
    return loss < 100 ? loss.toFixed(4) : loss.toExponential(1)
  }

  dino.define("dino-descent", Descent)
})()
