// Lesson 08: one noise level in the symbols of five papers, the noisy picture as each of them sees it, and what their
// networks predict. Each symbol has a slider, and all of them move together.
(() => {
  const { Picture, latest, make, panel, pictureView, slider } = dino
  const SEED = 3
  const [LOW, HIGH] = [0.01, 0.99]
  const WIDTH = 128
  const same = (x) => x
  // A paper's level from ours and back, and what its slider is even in.
  const TIME = { of: same, back: same, format: (x) => x.toFixed(2) }
  const TURNED = { ...TIME, of: (t) => 1 - t, back: (x) => 1 - x }
  const ALPHA_BAR = {
    of: (t) => (1 - t) ** 2 / ((1 - t) ** 2 + t ** 2),
    back: (x) => Math.sqrt(1 - x) / (Math.sqrt(x) + Math.sqrt(1 - x)),
    format: (x) => x.toFixed(3),
  }
  const SIGMA = {
    of: (t) => t / (1 - t), back: (x) => x / (1 + x), format: (x) => x.toPrecision(3), even: Math.log, uneven: Math.exp,
  }
  const LOG_SNR = { of: (t) => -2 * Math.log(t / (1 - t)), back: (x) => 1 / (1 + Math.exp(x / 2)), format: (x) => x.toFixed(2) }
  const UNITS = {
    "this course": TIME, DDPM: ALPHA_BAR, DDIM: ALPHA_BAR, EDM: SIGMA, "rectified flow": TURNED, IADB: TURNED, "log-SNR": LOG_SNR,
  }
  // What a noisy picture of ours is divided by, to be one of a paper's.
  const DIVISORS = { same: () => 1, variance_preserving: (t) => Math.hypot(1 - t, t), variance_exploding: (t) => 1 - t }
  // What networks predict, and what to multiply it by so that it can be seen. The score is the noise, divided by -t.
  const STRENGTHS = { image: () => 1, noise: () => 1, "image - noise": () => 0.5, score: (t) => t }

  class Rosetta extends dino.NetworkElement {
    async prepare({ picture }) {
      this.clean = Picture.from(picture)
      this.noise = new Dino.Random(SEED).rand(this.clean.values.length)
      this.level = 0.6
      await this.predict()
    }
    build(stage, { papers }) {
      this.update = latest(async () => {
        await this.predict()
        this.show()
      })
      this.sliders = papers.map((paper) => this.sliderOf(paper))
      this.coordinates = Object.keys(DIVISORS).map((name) => {
        const view = pictureView("The noisy picture, as these papers see it", WIDTH)
        const note = make("p", { class: "note" })
        const names = papers.filter(({ coordinates }) => coordinates === name).map((paper) => paper.name)
        return { name, view, note, node: panel(names.join(", "), view.node, { caption: note }) }
      })
      this.targets = Object.keys(STRENGTHS).map((name) => {
        const view = pictureView(`The prediction of the network, said as: ${name}`, WIDTH)
        const names = papers.filter(({ predicts }) => predicts === name).map((paper) => paper.name)
        return { name, view, node: panel(names.length ? `${name}: ${names.join(", ")}` : `${name}, times t`, view.node) }
      })
      stage.append(
        make("div", { class: "settings" }, ...this.sliders.map(({ node }) => node)),
        make("div", { class: "title" }, "The same noisy picture, as each paper sees it:"),
        make("div", { class: "panels small" }, ...this.coordinates.map(({ node }) => node)),
        make("div", { class: "title" }, "The same prediction, as each paper's network could say it:"),
        make("div", { class: "panels small" }, ...this.targets.map(({ node }) => node)),
      )
      this.show()
    }
    /** Return a slider for the level of a paper. Its symbol is MathML. */
    sliderOf({ name, symbol, spoken }) {
      const { of, back, format, even = same, uneven = same } = UNITS[name]
      const ends = [even(of(LOW)), even(of(HIGH))]
      const label = make("span")
      label.innerHTML = `${name}: ${symbol}`
      const control = slider({
        label, min: Math.min(...ends), max: Math.max(...ends), step: name === "this course" ? 0.01 : "any",
        value: even(of(this.level)), format: (place) => format(uneven(place)),
        oninput: (place) => this.go(back(uneven(place)), control),
      })
      control.input.setAttribute("aria-label", `${name}: ${spoken}`)
      return Object.assign(control, { name, of, place: (t) => even(of(t)), read: (t) => format(of(t)) })
    }
    /** Go to a noise level, with all sliders but the one that was moved. */
    go(level, moved) {
      this.level = level
      for (const control of this.sliders) if (control !== moved) control.value = control.place(level)
      this.update()
    }
    async predict() {
      const { level } = this
      const noisy = Dino.mix(this.clean.values, this.noise, level)
      const { denoised } = await this.model.denoise(noisy, level, { condition: null })
      Object.assign(this, { told: level, noisy, denoised })
    }
    /** Return the noisy picture with numbers from -1 to 1, in the coordinates of a paper. */
    seen(coordinates) {
      return this.noisy.map((value) => (2 * value - 1) / DIVISORS[coordinates](this.told))
    }
    /** Return what a network would predict, for pictures with numbers from -1 to 1. */
    predicted(target) {
      const t = this.told
      const [x, image] = [this.noisy, this.denoised].map((values) => values.map((value) => 2 * value - 1))
      return x.map((value, k) => ({
        image: image[k],
        noise: (value - (1 - t) * image[k]) / t,
        "image - noise": (image[k] - value) / t,
        score: ((1 - t) * image[k] - value) / t ** 2,
      })[target])
    }
    show() {
      const t = this.told
      for (const { name, view, note } of this.coordinates) {
        const seen = this.seen(name)
        const divisor = DIVISORS[name](t)
        view.show(this.picture(seen.map(asColor)))
        note.textContent =
          `${((1 - t) / divisor).toFixed(2)} image + ${digits(t / divisor)} noise; standard deviation ${digits(deviation(seen))}`
      }
      for (const { name, view } of this.targets) {
        view.show(this.picture(this.predicted(name).map((value) => asColor(STRENGTHS[name](t) * value))))
      }
      const read = Object.fromEntries(this.sliders.map((control) => [control.name, control.read(t)]))
      this.say(
        `At our noise level ${t.toFixed(2)}, DDPM's alpha-bar is ${read.DDPM}, EDM's sigma is ${read.EDM}, the log-SNR is ` +
          `${read["log-SNR"]}, and the time of rectified flow and IADB is ${read.IADB}. ${balance(t)}`,
      )
    }
  }
  const asColor = (value) => Math.min(1, Math.max(0, (value + 1) / 2))
  const digits = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(0))
  function deviation(values) {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1))
  }
  function balance(t) {
    if (Math.abs(t - 0.5) < 0.005) return "There is as much noise as image."
    return t < 0.5 ? "There is more image than noise." : "There is more noise than image."
  }

  dino.define("dino-rosetta", Rosetta)
})()
