// Home: a row of new pictures that come out of noise, of what the reader asks for.
(() => {
  const { Player, button, gallery, isCalm, make, request, row } = dino
  const N = 6
  const STEPS = 16

  class LiveRow extends dino.NetworkElement {
    async prepare({ examples }) {
      this.seed = Math.floor(1e4 * Math.random())
      this.words = examples[0]
      this.begin()
      this.now = (await this.walk.next()).value
      if (isCalm()) for await (this.now of this.walk); // the finished row, without the way to it
    }
    build(stage, { examples }) {
      Object.assign(this, gallery("Six pictures", N))
      this.ask = request({ label: "What to draw", value: this.words, onask: () => this.draw() })
      this.player = new Player({ step: () => this.advance(), perSecond: 11, labels: ["Go on", "Pause"] })
      this.player.stepButton = button("Step", () => this.step())
      this.player.playButton.classList.remove("main")
      const wishes = examples.map((words) => button(words, () => {
        this.ask.value = words
        this.draw()
      }, { class: "wish" }))
      this.command = make("code")
      stage.append(
        this.node,
        make("div", { class: "row" }, this.ask.node, row(this.player.playButton, this.player.stepButton)),
        row(make("span", { class: "light" }, "Or:"), ...wishes),
        make("p", { class: "note wide" }, "The same pictures from a copy of the course: ", this.command),
      )
      this.show()
      if (!this.isFinished) this.player.play()
    }
    get isFinished() {
      return this.now.k === STEPS
    }
    /** Set out from new noise. Throws Dino.Problem if the network knows none of the words. */
    begin() {
      const { words, seed, model } = this
      const condition = model.conditionOf(words, { n: N, seed })
      this.walk = model.sample({ n: N, seed, words, steps: STEPS, condition })
    }
    /** Begin a new row of what is asked for now. Returns whether the network knows the words. */
    again() {
      this.player.pause()
      try {
        this.seed++
        this.words = this.ask.value
        this.begin()
        return true
      } catch (error) {
        this.fail(error)
        return false
      }
    }
    async draw() {
      if (this.again() && (await this.advance())) this.player.play()
    }
    async step() {
      this.player.pause()
      if (!this.isFinished || this.again()) await this.advance()
    }
    /** Take a step. Returns whether there are more. */
    async advance() {
      const { walk } = this
      const { value } = await walk.next()
      if (!value || walk !== this.walk) return false
      this.now = value
      this.show()
      return !this.isFinished
    }
    show() {
      const { k, noiseLevel, noisy } = this.now
      this.drawAll(noisy, this.views)
      this.player.playButton.disabled = this.isFinished
      const asked = this.words.trim()
      const quoted = asked.replaceAll(/["$`\\!]/g, "")
      this.command.textContent = `uv run dino sample -n ${N}${asked ? ` --ask "${quoted}"` : ""} --seed ${this.seed} --steps ${STEPS}`
      this.node.setAttribute("aria-label", `Six pictures${asked ? ` of: ${asked}` : ""}`)
      this.say(`${this.isFinished ? "Here they are" : `Step ${k} of ${STEPS}, noise level ${noiseLevel.toFixed(2)}`}. ${this.hint()}`)
    }
    hint() {
      const unknown = this.strangers(this.words)
      if (unknown) return unknown
      if (this.now.k === 0) return "So far there is nothing but noise."
      return this.isFinished ? "Nobody has drawn these before, and your device just did." : "The network takes a little noise away in each step."
    }
  }

  dino.define("dino-live-row", LiveRow)
})()
