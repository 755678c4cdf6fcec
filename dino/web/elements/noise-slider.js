// Lesson 01: one slider for the noise level, which moves a picture, the values of a pixel, and the histogram of all.
(() => {
  const { Picture, PixelGrid, Plot, choice, legend, lerp, make, panel, slider } = dino
  const COLORS = ["red", "green", "blue"]
  const LINES = { "orange dashed": "mean", orange: "± standard deviation" }
  const BINS = 50
  const TOP = 5 // density at which the spike of white is cut off

  class NoiseSlider extends dino.LiveElement {
    build(stage, { pictures, noise }) {
      this.pictures = Object.fromEntries(Object.entries(pictures).map(([name, data]) => [name, Picture.from(data)]))
      this.noise = noiseFrom(noise)
      const names = Object.fromEntries(Object.keys(pictures).map((name) => [name, name]))
      this.level = slider({ label: "noise level", value: 0.3, oninput: () => this.update() })
      this.which = choice({
        label: "picture", options: names, value: Object.keys(names)[0], quiet: true, onchange: () => this.update(),
      })
      this.grid = new PixelGrid({
        label: "The noisy picture. The arrow keys choose the pixel to follow.", size: 208,
        onpoint: () => this.noisy && this.update(),
      })
      this.lines = new Plot({
        label: "The values of the marked pixel against the noise level: three straight lines", width: 236, height: 212,
        x: { from: 0, to: 1, ticks: [0, 0.5, 1], label: "noise level" }, y: { from: 0, to: 1, ticks: [0, 0.5, 1] },
        margin: [10, 14, 36, 28],
      })
      this.now = this.lines.add("path", { class: "line thin dashed ink" })
      this.channels = COLORS.map((color, k) => [
        this.lines.add("path", { class: `line ${color}` }),
        this.lines.add("circle", { class: `dot ${color}`, r: 6 - k }), // of three sizes, so that none hides another
      ])
      this.histogram = new Plot({
        label: "How often each value occurs in the noisy picture", width: 236, height: 212, margin: [10, 14, 36, 14],
        x: { from: 0, to: 1, ticks: [0, 0.5, 1], label: "value" }, y: { from: 0, to: TOP },
      })
      this.bars = this.histogram.add("path", { class: "bar blue" })
      this.spread = this.histogram.add("path", { class: "line orange" })
      this.mean = this.histogram.add("path", { class: "line orange dashed" })
      stage.append(
        make("div", { class: "sticky" }, this.level.node),
        make("div", { class: "panels" },
          panel("click on a pixel to follow it", this.grid.node),
          panel("its red, green and blue", this.lines.node),
          panel("all values of the picture", this.histogram.node, { caption: legend(LINES) }),
        ),
        this.which.node,
      )
      this.grid.show(this.clean)
      this.grid.keep(16, 16)
      this.update()
    }
    get clean() {
      return this.pictures[this.which.value]
    }
    update() {
      const level = this.level.value
      this.noisy = lerp(this.clean, this.noise, level)
      this.grid.show(this.noisy)
      const ends = this.showPixel(level)
      const { mean, spread } = this.showHistogram()
      const [from, to] = ends[0]
      this.say(
        `At level ${level.toFixed(2)} each value is ${percent(1 - level)} picture and ${percent(level)} noise. ` +
          `The pixel's red goes from ${from.toFixed(2)} to ${to.toFixed(2)}, ` +
          `and is ${(from + level * (to - from)).toFixed(2)} now. ` +
          `Over all values the mean is ${mean.toFixed(2)} and the standard deviation ${spread.toFixed(3)}.`,
      )
    }
    showPixel(level) {
      const { row, column } = this.grid
      this.now.setAttribute("d", this.lines.path([[level, 0], [level, 1]]))
      return this.channels.map(([line, dot], k) => {
        const [from, to] = [this.clean.at(k, row, column), this.noise.at(k, row, column)]
        line.setAttribute("d", this.lines.path([[0, from], [1, to]]))
        this.lines.move(dot, level, this.noisy.at(k, row, column))
        return [from, to]
      })
    }
    showHistogram() {
      const { values } = this.noisy
      const counts = new Array(BINS).fill(0)
      for (const value of values) counts[Math.min(BINS - 1, Math.floor(value * BINS))]++
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1))
      const plot = this.histogram
      this.bars.setAttribute("d", counts.map((count, k) => {
        const height = Math.min(TOP, (count * BINS) / values.length)
        return `M${plot.px(k / BINS)} ${plot.py(0)}V${plot.py(height)}H${plot.px((k + 0.9) / BINS)}V${plot.py(0)}z`
      }).join(""))
      this.mean.setAttribute("d", plot.path([[mean, 0], [mean, TOP]]))
      this.spread.setAttribute("d", plot.path([[mean - spread, 0.93 * TOP], [mean + spread, 0.93 * TOP]]))
      return { mean, spread }
    }
  }
  /** Decode noise: the byte k stands for (k + 0.5) / 256, so that all values are in [0, 1). */
  function noiseFrom(data) {
    const noise = Picture.from(data)
    noise.values = noise.values.map((value) => (Math.round(value * 255) + 0.5) / 256)
    return noise
  }
  function percent(share) {
    return `${Math.round(100 * share)}%`
  }

  dino.define("dino-noise-slider", NoiseSlider)
})()
