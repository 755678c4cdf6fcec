// Lesson 01: lower the noise until you see what it is. At the end, your levels beside those of a program.
(() => {
  const { Picture, Player, Plot, button, generator, legend, lerp, make, panel, pictureView, row, slider } = dino

  class Recognize extends dino.LiveElement {
    build(stage, data) {
      this.riddles = data.riddles.map((riddle) => ({ ...riddle, picture: Picture.from(riddle.picture) }))
      this.program = data
      this.level = slider({ label: "noise level", value: 1, oninput: () => this.show() })
      this.view = pictureView("A picture under noise", 256)
      this.player = new Player({ step: () => this.lower(), perSecond: 6, labels: ["Lower it slowly", "Pause"] })
      this.seen = button("I see it!", () => this.ask(), { class: "main" })
      this.controls = row(this.player.playButton, this.seen)
      this.answers = make("div", { class: "answers", role: "group", "aria-label": "What is it?" })
      this.tally = make("ol", { class: "tally", "aria-label": "Your levels" })
      this.plot = this.makePlot(data)
      const meanings = { blue: "you", green: "a program that knows the level", "orange dashed": "one that doesn't" }
      this.score = panel("share of pictures recognized", this.plot.node, { caption: legend(meanings) })
      this.score.hidden = true
      this.player.playButton.classList.remove("main")
      stage.append(
        this.level.node,
        make("div", { class: "panels" },
          make("div", { class: "panel riddle" }, this.view.node, this.controls, this.answers),
          this.score,
        ),
        this.tally,
      )
      this.begin()
    }
    makePlot({ levels, knows, doesNotKnow }) {
      const plot = new Plot({
        label: "Share of pictures recognized against the noise level, by you and by a program", width: 340, height: 240,
        x: { from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1], label: "noise level" },
        y: { from: 0, to: 1, ticks: [0, 0.5, 1], format: (share) => `${100 * share}%` },
      })
      plot.add("path", { class: "line green", d: plot.path(levels.map((level, k) => [level, knows[k]])) })
      plot.add("path", { class: "line orange dashed", d: plot.path(levels.map((level, k) => [level, doesNotKnow[k]])) })
      this.yours = plot.add("path", { class: "line blue you" })
      return plot
    }
    begin() {
      this.done = []
      this.tally.replaceChildren()
      this.score.hidden = true
      this.next()
    }
    next() {
      const seed = 1 + this.done.length
      this.riddle = this.riddles[this.done.length]
      const { channels, height, width } = this.riddle.picture
      const random = generator(seed)
      this.noise = new Picture(channels, height, width)
      this.noise.values = this.noise.values.map(random)
      this.answers.replaceChildren()
      this.level.value = 1
      this.enable(true)
      this.show()
      this.say(
        `Picture ${seed} of ${this.riddles.length}. At level 1 it is nothing but noise. ` +
          "Lower the level until you see what it is.",
      )
    }
    enable(on) {
      this.level.input.disabled = !on
      this.controls.hidden = !on
    }
    show() {
      lerp(this.riddle.picture, this.noise, this.level.value).draw(this.view.node)
    }
    lower() {
      this.level.value = Math.max(0, this.level.value - 0.01)
      this.show()
      return this.level.value > 0
    }
    ask() {
      this.player.pause()
      this.enable(false)
      const level = this.level.value
      const choices = this.riddle.choices.map((name) => button(name, () => this.answer(name, level)))
      this.answers.replaceChildren(...choices)
      this.say(`You see it at level ${level.toFixed(2)}. What is it?`)
      choices[0].focus({ preventScroll: true })
    }
    answer(name, level) {
      const right = name === this.riddle.name
      this.done.push(right ? level : 0)
      this.level.value = 0
      this.show()
      const isLast = this.done.length === this.riddles.length
      const more = isLast
        ? button("Play again", () => this.begin())
        : button("Next picture", () => this.next(), { class: "main" })
      this.answers.replaceChildren(more)
      more.focus({ preventScroll: true })
      const small = pictureView(this.riddle.name, 44)
      this.riddle.picture.draw(small.node)
      this.tally.append(make("li", {}, small.node, make("span", {}, right ? level.toFixed(2) : "missed")))
      const verdict = right
        ? `Yes, ${name}, recognized at level ${level.toFixed(2)}.`
        : `It is ${this.riddle.name}, so this one counts as missed.`
      this.say(isLast ? `${verdict} ${this.summary()}` : verdict)
      if (isLast) this.showScore()
    }
    showScore() {
      const sorted = [...this.done].sort((a, b) => a - b)
      const stairs = sorted.flatMap((level) => [level, level + 0.005].map((at) => [level, this.shareAt(at)]))
      this.yours.setAttribute("d", this.plot.path([[0, this.shareAt(0.005)], ...stairs, [1, this.shareAt(1)]]))
      this.score.hidden = false
    }
    /** Return the share of the pictures that the reader recognized at this level or above it. */
    shareAt(level) {
      return this.done.filter((theirs) => theirs > 0 && theirs >= level - 1e-9).length / this.done.length
    }
    summary() {
      const found = this.done.filter((level) => level > 0)
      const mean = found.reduce((sum, level) => sum + level, 0) / Math.max(1, found.length)
      const half = (shares) => this.program.levels.filter((_, k) => shares[k] >= 0.5).at(-1).toFixed(2)
      const yours = found.length
        ? `${found.length} of ${this.done.length} recognized, on average at level ${mean.toFixed(2)}`
        : "None recognized"
      return (
        `${yours}. A program that compares pixels recognizes half of ${this.program.n} pictures up to level ` +
        `${half(this.program.doesNotKnow)}; if it knows the level, up to ${half(this.program.knows)}.`
      )
    }
  }

  dino.define("dino-recognize", Recognize)
})()
