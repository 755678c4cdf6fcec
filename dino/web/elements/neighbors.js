// Lesson 05: the nearest training pictures of a picture that the network draws, or of a changed training picture.
(() => {
  const { Picture, Plot, button, choice, latest, legend, make, panel, pictureView, row, slider } = dino
  const [WIDTH, SMALL, N_SHOWN] = [176, 96, 4]
  const FARTHEST = 0.3 // on the scale
  const COPY = 0.5 // as in dino/reports/memorization.py: a copy is nearer than this share of what is usual

  class Neighbors extends dino.NetworkElement {
    async prepare(data) {
      this.index = await decoded(data)
      this.usual = data.usual
      this.counts = { drawn: 1, changed: 1 }
      this.update = latest(() => this.find())
    }
    build(stage) {
      const onchange = () => {
        this.changes.hidden = this.source.value === "drawn"
        this.update()
      }
      const options = { drawn: "drawn by the network", changed: "a changed training picture" }
      this.source = choice({ label: "picture", options, value: "drawn", quiet: true, onchange })
      this.level = slider({ label: "noise level", value: 0, oninput: () => this.update() })
      this.moved = slider({ label: "moved by", min: 0, max: 4, step: 1, value: 0, format: (n) => `${n} px`, oninput: () => this.update() })
      this.changes = make("div", { class: "settings", hidden: true }, this.level.node, this.moved.node)
      const another = button("Another one", () => {
        this.counts[this.source.value]++
        this.update()
      }, { class: "main" })
      this.view = pictureView("The picture", WIDTH)
      this.views = Array.from({ length: N_SHOWN }, (_, k) => pictureView(`Number ${k + 1} of the nearest training pictures`, SMALL))
      this.captions = this.views.map(() => make("div", { class: "note" }))
      this.scale = new Plot({
        label: "The distance to the nearest training picture, beside those of unseen real pictures", width: 330, height: 84,
        margin: [6, 12, 36, 12], x: { from: 0, to: FARTHEST, ticks: [0, 0.1, 0.2, 0.3], label: "distance to the nearest" },
        y: { from: 0, to: 1 },
      })
      const [from, to] = [this.scale.px(this.usual.low), this.scale.px(this.usual.high)]
      this.scale.add("rect", { class: "bar green faint", x: from, y: 8, width: to - from, height: 38 })
      this.dot = this.scale.add("circle", { class: "dot orange", r: 7 })
      const found = this.views.map((view, k) => make("div", {}, view.node, this.captions[k]))
      stage.append(
        row(this.source.node, another),
        make("div", { class: "sticky" }, this.changes),
        make("div", { class: "panels" },
          panel("the picture", this.view.node),
          panel("its nearest training pictures", make("div", { class: "found" }, ...found)),
          panel("", this.scale.node, { caption: legend({ orange: "this picture", green: "most unseen real pictures" }) }),
        ),
      )
      this.update()
    }
    async find() {
      const [source, level, moved] = [this.source.value, this.level.value, this.moved.value]
      const seed = this.counts[source]
      const picture = source === "drawn" ? await this.drawn(seed) : this.changed(seed, level, moved)
      const nearest = this.nearest(picture)
      Object.assign(this, { shown: picture, found: nearest, asked: { source, seed, level, moved } })
      picture.draw(this.view.node)
      for (const [k, { place, distance }] of nearest.entries()) {
        this.views[k].show(this.training(place))
        this.captions[k].textContent = distance.toFixed(3)
      }
      this.scale.move(this.dot, Math.min(FARTHEST, nearest[0].distance), 0.5)
      const what =
        source === "drawn"
          ? `Picture ${seed}, drawn by the network`
          : `Training picture ${this.placeOf(seed)}, at noise level ${level.toFixed(2)}${moved ? ` and moved by ${moved} px` : ""}`
      this.say(`${what}, is ${nearest[0].distance.toFixed(3)} away from the nearest. ${this.verdict(nearest[0].distance)}`)
    }
    async drawn(seed) {
      let last
      for await (last of this.model.sample({ seed }));
      return this.picture(last.noisy.map((value) => Math.min(1, Math.max(0, value))))
    }
    /** A training picture, moved to the right and mixed with noise. What leaves on the right comes back on the left. */
    changed(seed, level, moved) {
      const picture = this.training(this.placeOf(seed))
      const { values, width } = picture
      const column = (k) => k % width
      const rolled = values.map((_, k) => values[k - column(k) + ((column(k) - moved + width) % width)])
      const noise = new Dino.Random(seed).rand(values.length)
      return this.picture(Dino.mix(rolled, noise, level))
    }
    /** Which training picture is the next: far from the one before. */
    placeOf(seed) {
      return (seed * 37) % this.index.n
    }
    training(place) {
      const { bytes, size } = this.index
      return this.picture(Float32Array.from(bytes.subarray(place * size, (place + 1) * size), (byte) => byte / 255))
    }
    /** The nearest training pictures, nearest first, as `nearest_neighbors` of dino/evaluation.py finds them. */
    nearest(picture) {
      const { n, bytes, size } = this.index
      const wanted = picture.values.map((value) => 255 * value)
      const distances = Array.from({ length: n }, (_, place) => {
        let sum = 0
        for (let k = 0, at = place * size; k < size; k++, at++) sum += (wanted[k] - bytes[at]) ** 2
        return { place, distance: Math.sqrt(sum / size) / 255 }
      })
      return distances.sort((a, b) => a.distance - b.distance).slice(0, N_SHOWN)
    }
    verdict(distance) {
      const { low, high, middle } = this.usual
      if (distance < COPY * middle) return "A new picture is hardly ever that close. This is a copy."
      if (distance < low) return "Most real pictures that the network never saw are farther away."
      if (distance <= high) return "Real pictures that the network never saw are as far away, so this one is no copy."
      return "Most real pictures that the network never saw are closer, so the measure finds no copy."
    }
  }
  /** Decode the training pictures, which are the cells of one image: bytes, channel by channel. */
  async function decoded({ sprite, n, columns, shape }) {
    const image = new Image()
    image.src = sprite
    await image.decode()
    const [channels, height, width] = shape
    const canvas = make("canvas", { width: image.width, height: image.height })
    const context = canvas.getContext("2d", { willReadFrequently: true })
    context.drawImage(image, 0, 0)
    const { data } = context.getImageData(0, 0, image.width, image.height)
    const size = channels * height * width
    const bytes = new Uint8Array(n * size)
    for (let place = 0; place < n; place++) {
      const [top, left] = [Math.floor(place / columns) * height, (place % columns) * width]
      for (let k = 0; k < size; k++) {
        const [channel, rest] = [Math.floor(k / (height * width)), k % (height * width)]
        const pixel = (top + Math.floor(rest / width)) * image.width + left + (rest % width)
        bytes[place * size + k] = data[4 * pixel + channel]
      }
    }
    return { n, size, bytes }
  }

  dino.define("dino-neighbors", Neighbors)
})()
