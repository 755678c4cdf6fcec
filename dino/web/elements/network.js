// What the elements share that use the network. The engine is dino/web/dino.js, and the weights are a script beside it.
(() => {
  const { LiveElement, Picture, address, load, loadScript, make } = dino
  const started = {}

  /** Load the engine, and a network by its name: once for all elements of a page. `onstage` gets what is being done. */
  async function network({ name, megabytes }, onstage) {
    onstage("Loading the program that runs the network", 0)
    await (started.engine ??= loadScript(address("dino.js")))
    const obstacle = Dino.obstacle()
    if (obstacle) throw new Dino.Problem(obstacle)
    onstage(`Loading the network, ${megabytes} MB`, 1)
    await (started.weights ??= loadScript(address(`models/${name}.js`)))
    onstage("Starting the network", 2)
    return (started.model ??= Dino.load(Dino.fromBase64(Dino.pretrained[name])))
  }
  const pageLoaded = () =>
    document.readyState === "complete" || new Promise((resolve) => window.addEventListener("load", resolve))

  /** An element that draws with the network, `this.model`. It loads after the page, and only when it is in the window. */
  class NetworkElement extends LiveElement {
    get margin() {
      return "0px"
    }
    async start() {
      const bar = make("progress", { max: 3, value: 0, "aria-hidden": "true" })
      const sentence = make("span")
      const notice = make("p", { class: "notice", role: "status" }, sentence, bar)
      this.append(notice)
      try {
        await pageLoaded()
        const data = await load(this.localName)
        this.model = await network(data.network, (doing, stage) => {
          sentence.textContent = `${doing} …`
          bar.value = stage
        })
        bar.value = 3
        await this.prepare(data)
      } catch (error) {
        const known = window.Dino && error instanceof Dino.Problem
        notice.replaceChildren(known ? error.message : "The network could not be loaded, so this figure stands still.")
        return
      }
      notice.remove()
      await super.start()
    }
    /** Compute what it shows at first, if anything. */
    async prepare() {}
    /** Say why something didn't work. */
    fail(error) {
      if (!(error instanceof Dino.Problem)) throw error
      this.say(error.message)
    }
    picture(values) {
      return new Picture(this.model.channels, this.model.size, this.model.size, values)
    }
    /** Return the pictures of a batch. */
    batch(values) {
      const floats = this.model.channels * this.model.size ** 2
      return Array.from({ length: values.length / floats }, (_, n) => this.picture(values.subarray(n * floats, (n + 1) * floats)))
    }
    /** Draw a batch, one picture on each canvas. */
    drawAll(values, canvases) {
      this.batch(values).forEach((picture, n) => picture.draw(canvases[n]))
    }
    /** Return a sentence about the words that the network doesn't know, if there are any. */
    strangers(words) {
      const { unknown } = Dino.parseRequest(words, this.model.vocabulary)
      return unknown.length ? `The network doesn't know ${unknown.map((word) => `“${word}”`).join(" or ")}.` : ""
    }
  }

  /** Return a function that calls an async one, and again if it is called meanwhile: so what it saw last is the newest. */
  function latest(compute) {
    let [isBusy, isStale] = [false, false]
    return async () => {
      isStale = true
      if (isBusy) return
      isBusy = true
      try {
        while (isStale) {
          isStale = false
          await compute()
        }
      } finally {
        isBusy = false
      }
    }
  }
  /** Return the last step of a walk. */
  async function lastOf(walk) {
    let last
    for await (last of walk);
    return last
  }
  /** Tell whether the system asks for less motion. */
  const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches

  Object.assign(dino, { NetworkElement, latest, lastOf, isCalm })
})()
