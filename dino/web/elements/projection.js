// Lesson 05: two clouds of points seen from a direction, the sorted pairs, and the distance from each direction.
(() => {
  const { Player, Plot, choice, legend, make, panel, row, slider } = dino
  const [FULL_TURN, PER_MOVE] = [180, 2] // degrees; a line looks the same after half a circle

  class Projection extends dino.LiveElement {
    build(stage, { a, b }) {
      Object.assign(this, { a, b })
      const oninput = () => {
        this.player.pause()
        this.show()
      }
      this.angle = slider({ label: "direction", min: 0, max: FULL_TURN, step: 1, value: 30, format: (x) => `${x}°`, oninput })
      this.pairs = choice({
        label: "pairs", options: { sorted: "sorted", unsorted: "as they come" }, value: "sorted", onchange: oninput,
      })
      this.player = new Player({ step: () => this.turn(), perSecond: 20, labels: ["Turn", "Stop"] })
      this.plane = new Plot({
        label: "The two clouds, and the line that they are projected onto", width: 260, height: 260, margin: [4, 4, 4, 4],
        x: { from: -3.2, to: 4 }, y: { from: -3.1, to: 4.1 },
      })
      this.line = this.plane.add("path", { class: "line ink" })
      this.drops = [this.a, this.b].map((_, k) => this.plane.add("path", { class: `line thin ${COLORS[k]}` }))
      this.points = [a, b].map((cloud, k) => cloud.map(([x, y]) => mark(this.plane, k, x, y)))
      this.matched = new Plot({
        label: "The places of the points along the line, joined in pairs", width: 260, height: 200, margin: [4, 12, 36, 12],
        x: { from: -3.4, to: 4.2, ticks: [-2, 0, 2, 4], label: "place along the line" }, y: { from: -0.2, to: 1.2 },
      })
      this.joints = this.matched.add("path", { class: "line thin ink" })
      this.feet = [a, b].map((cloud, k) => cloud.map(() => mark(this.matched, k, 0, 1 - k)))
      const curve = Array.from({ length: FULL_TURN + 1 }, (_, degrees) => [degrees, this.distance(degrees)])
      this.mean = curve.slice(0, FULL_TURN).reduce((sum, [, distance]) => sum + distance, 0) / FULL_TURN
      this.byAngle = new Plot({
        label: "The distance from each direction", width: 260, height: 200,
        x: { from: 0, to: FULL_TURN, ticks: [0, 90, 180], format: (x) => `${x}°`, label: "direction" },
        y: { from: 0, to: 2.5, ticks: [0, 1, 2] },
      })
      this.byAngle.add("path", { class: "line green", d: this.byAngle.path(curve) })
      this.byAngle.add("path", { class: "line dashed pink", d: this.byAngle.path([[0, this.mean], [FULL_TURN, this.mean]]) })
      this.dot = this.byAngle.add("circle", { class: "dot green", r: 5 })
      this.turnWithPointer()
      stage.append(
        make("div", { class: "sticky" }, row(this.angle.node, this.player.playButton, this.player.stepButton)),
        row(this.pairs.node),
        make("div", { class: "panels" },
          panel("two clouds: drag to turn the line", this.plane.node),
          panel("their places along the line", this.matched.node),
          panel("distance", this.byAngle.node, { caption: legend({ green: "from each direction", "pink dashed": "mean" }) }),
        ),
      )
      this.show()
    }
    /** Turn the line towards the mouse or the finger while it is pressed. */
    turnWithPointer() {
      const { node, x, y } = this.plane
      const toPointer = (event) => {
        const box = node.getBoundingClientRect()
        const right = x.from + ((event.clientX - box.left) / box.width) * (x.to - x.from)
        const up = y.to - ((event.clientY - box.top) / box.height) * (y.to - y.from)
        const degrees = (Math.atan2(up, right) * 180) / Math.PI
        this.player.pause()
        this.angle.value = Math.round(degrees + 2 * FULL_TURN) % FULL_TURN
        this.show()
      }
      node.classList.add("turnable")
      node.addEventListener("pointerdown", (event) => {
        node.setPointerCapture(event.pointerId)
        toPointer(event)
      })
      node.addEventListener("pointermove", (event) => node.hasPointerCapture(event.pointerId) && toPointer(event))
    }
    turn() {
      this.angle.value = (this.angle.value + PER_MOVE) % FULL_TURN
      this.show()
      return true
    }
    /** How far points lie along the direction. */
    along(cloud, degrees) {
      const [right, up] = direction(degrees)
      return cloud.map(([x, y]) => x * right + y * up)
    }
    /** The mean distance of the pairs, along one direction. */
    distance(degrees, isSorted = true) {
      const [a, b] = [this.a, this.b].map((cloud) => ordered(this.along(cloud, degrees), isSorted))
      return a.reduce((sum, value, k) => sum + Math.abs(value - b[k]), 0) / a.length
    }
    show() {
      const [degrees, isSorted] = [this.angle.value, this.pairs.value === "sorted"]
      const [right, up] = direction(degrees)
      this.line.setAttribute("d", this.plane.path([[-6 * right, -6 * up], [6 * right, 6 * up]]))
      const places = [this.a, this.b].map((cloud) => this.along(cloud, degrees))
      for (const [k, cloud] of [this.a, this.b].entries()) {
        const drops = cloud.map((point, n) => this.plane.path([point, [places[k][n] * right, places[k][n] * up]]))
        this.drops[k].setAttribute("d", drops.join(""))
        this.feet[k].forEach((foot, n) => move(this.matched, foot, k, places[k][n], 1 - k))
      }
      const [a, b] = places.map((numbers) => ordered(numbers, isSorted))
      this.joints.setAttribute("d", a.map((value, n) => this.matched.path([[value, 1], [b[n], 0]])).join(""))
      this.byAngle.move(this.dot, degrees, this.distance(degrees))
      const [apart, least] = [this.distance(degrees, isSorted).toFixed(2), this.distance(degrees).toFixed(2)]
      const where = `From ${degrees} degrees,`
      this.say(
        isSorted
          ? `${where} the ${a.length} sorted pairs are ${apart} apart on average. ` +
              `The mean over all directions is ${this.mean.toFixed(2)}: the sliced distance.`
          : `${where} the ${a.length} pairs are ${apart} apart on average if nothing is sorted, and ${least} if both are. ` +
              "Sorting finds the shortest way.",
      )
    }
  }
  const COLORS = ["blue", "orange"]
  /** Add a point of a cloud: a disc for the first, a square for the second. */
  function mark(plot, k, x, y) {
    const shape = k ? plot.add("rect", { class: "dot orange", width: 9, height: 9 }) : plot.add("circle", { class: "dot blue", r: 5 })
    move(plot, shape, k, x, y)
    return shape
  }
  function move(plot, shape, k, x, y) {
    if (!k) return plot.move(shape, x, y)
    shape.setAttribute("x", plot.px(x) - 4.5)
    shape.setAttribute("y", plot.py(y) - 4.5)
  }
  /** The arrow of length 1 in a direction. */
  function direction(degrees) {
    const angle = (degrees * Math.PI) / 180
    return [Math.cos(angle), Math.sin(angle)]
  }
  function ordered(numbers, isSorted) {
    return isSorted ? [...numbers].sort((x, y) => x - y) : numbers
  }

  dino.define("dino-projection", Projection)
})()
