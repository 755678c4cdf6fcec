/* The page around a model: draw, ask, paint, look at each step, save.

     Dino.page(document.querySelector("main"), { weights: bytes, name: "pretrained", words: "green stegosaurus" });

   `weights` is a model.safetensors, or null for a page that waits for one. Options: name; words, what to
   ask for first; models, what else the reader can choose: {name: async () => bytes}; picker (true: the reader may open
   files); heading (false: leave out the title). */

Dino.define(function page(Dino) {
  "use strict";
  const N_SHELF = 8; // pictures that can be brought back
  const MAX_CHIPS = 60; // words shown as buttons
  const COLORS = {
    white: "#ffffff", black: "#26302e", red: "#d9483b", orange: "#ee8b3a", yellow: "#f3cf4f", green: "#5aa65a",
    teal: "#3aa6a0", blue: "#4a7fd0", purple: "#8a5fc0", pink: "#ec8fb4", brown: "#8d6748",
  };

  const LAYOUT = `
    <header class="head"><h1></h1><p class="model"></p></header>
    <div class="body">
      <section class="stage" aria-label="The picture">
        <div class="views">
          <figure class="of-mix"><div class="frame"><canvas role="img" aria-label="No picture yet"></canvas><div class="cell" hidden></div></div>
            <figcaption>the mix of picture and noise</figcaption></figure>
          <figure class="of-prediction" hidden><div class="frame"><canvas role="img" aria-label="No prediction yet"></canvas></div>
            <figcaption>what the network predicts</figcaption></figure>
        </div>
        <div class="time">
          <input type="range" class="step" min="0" max="0" value="0" aria-label="Step">
          <button type="button" class="replay"></button>
          <button type="button" class="both" aria-pressed="false">Prediction</button>
        </div>
        <div class="actions main">
          <button type="button" class="primary draw">Draw a new one</button>
          <button type="button" class="paint" aria-pressed="false">Paint</button>
          <button type="button" class="png">Save PNG</button>
          <button type="button" class="gif">Save GIF</button>
        </div>
        <p class="status" role="status" aria-live="polite">Reading the model.</p>
        <ul class="shelf" aria-label="Pictures so far"></ul>
      </section>
      <section class="group of-paint" aria-label="Painting" hidden>
        <h2>Paint on it</h2>
        <p class="note">Gray squares are free: the network fills them in. On the keyboard, arrows move and the space bar paints.</p>
        <div class="palette" role="group" aria-label="Colors"></div>
        <label class="row">Brush <input type="range" class="brush" min="1" max="8" value="3"><output></output></label>
        <div class="actions">
          <button type="button" class="empty">All free</button>
          <button type="button" class="refill">The picture</button>
        </div>
        <button type="button" class="primary fill">Fill in what is free</button>
        <label class="row">Noise <input type="range" class="from" min="0.05" max="1" step="0.05" value="0.7"><output></output></label>
        <button type="button" class="vary">Redraw all of it from this much noise</button>
      </section>
      <section class="controls" aria-label="Controls">
        <div class="group of-words" hidden>
          <h2>Ask for something</h2>
          <input type="text" class="ask" aria-label="What to draw" autocomplete="off" autocapitalize="off" spellcheck="false">
          <div class="chips" role="group" aria-label="Words the model knows"></div>
          <label class="row">Guidance <input type="range" class="guidance" min="0" max="5" step="0.1" value="1.5"><output></output></label>
        </div>
        <details class="group">
          <summary><span class="arrow" aria-hidden="true">&#9656;</span> How it is drawn</summary>
          <div class="rows">
            <label class="row wide">Seed <input type="number" class="seed" min="0" max="4294967295" step="1" value="3"></label>
            <label class="row">Steps <input type="range" class="steps" min="1" max="50" value="10"><output></output></label>
            <label class="row wide">Spacing <select class="spacing"><option value="warped">warped: small steps at first</option>
              <option value="even">even, as in lesson 04</option></select></label>
            <label class="row">Step size <input type="range" class="size" min="0.9" max="3" step="0.1" value="0.9"><output></output></label>
            <p class="note">The same seed and words give the same picture, here and with <code>dino sample</code>.</p>
          </div>
        </details>
        <div class="group of-file" hidden>
          <h2>Another model</h2>
          <p class="note">Choose the model.safetensors of one of your runs, or drop it anywhere here. It stays on your device.</p>
          <div class="actions models"><label class="button file"><input type="file" accept=".safetensors">Your own file</label></div>
        </div>
      </section>
    </div>`;

  Dino.page = function page(root, options) {
    return new Page(root, options);
  };

  class Page {
    constructor(root, { weights = null, name = "", words = "", models = {}, picker = false, heading = true } = {}) {
      root.classList.add("dino-page");
      root.innerHTML = LAYOUT;
      this.root = root;
      this.find = (selector) => root.querySelector(selector);
      this.find("h1").hidden = !heading;
      this.find(".of-file").hidden = !picker;
      this.find(".models").append(...Object.entries(models).map(([each, load]) => this.choiceOf(each, load)));
      Object.assign(this, { records: [], shown: null, k: 0, model: null, layer: null, color: null, painting: false });
      this.task = { kind: "new" };
      this.listen(picker);
      this.update();
      this.showBusy();
      this.enable(false);
      if (weights) this.open(weights, name, words);
      else this.say("Open a model to begin.");
    }

    /* ---- the model ---- */

    async open(weights, name, words = "") {
      try {
        this.say("Reading the model.");
        const model = await Dino.load(weights);
        this.model?.close();
        Object.assign(this, { model, name, layer: null, records: [], shown: null, task: { kind: "new" } });
      } catch (error) {
        return this.fail(error);
      }
      this.paintOn(false);
      this.introduce(words);
      this.enable(true);
      const still = self.matchMedia("(prefers-reduced-motion: reduce)").matches;
      return still ? this.showNoise() : this.draw({ slowly: true });
    }

    /* Return a button that opens another model. */
    choiceOf(name, load) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
      button.addEventListener("click", async () => {
        this.say("Reading the model.");
        try {
          await this.open(await load(), name);
        } catch (error) {
          this.fail(error);
        }
      });
      return button;
    }

    introduce(words) {
      const { model, name } = this;
      const { data } = model.config;
      const { images_seen: seen } = model.metadata;
      const count = Object.values(Dino.weightShapes(model.config)).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b), 0);
      this.find("h1").textContent = "Out of noise";
      const facts = [`The model ${name} has ${count.toLocaleString("en-US")} weights`];
      if (seen) facts.push(`has seen ${seen.toLocaleString("en-US")} pictures${data ? ` of ${data}` : ""}`);
      this.find(".model").textContent = `${facts.join(" and ")}. It draws on this device, and nothing leaves it.`;
      this.find(".of-words").hidden = !model.vocabulary.length;
      this.find(".ask").value = words;
      this.find(".steps").value = model.metadata.distilled?.n_steps ?? 10;
      this.find(".ask").placeholder = model.vocabulary.slice(-40).filter((_, k) => k % 9 === 4).slice(0, 2).join(" ");
      this.showChips();
      for (const canvas of this.root.querySelectorAll(".views canvas")) canvas.width = canvas.height = model.size;
      this.find(".palette").replaceChildren(...this.swatches());
      this.choose(this.find(".palette button"));
      this.showShelf();
    }

    showNoise() {
      const { model } = this;
      const noisy = new Dino.Random(this.seed).rand(model.channels * model.size ** 2);
      this.show({ steps: [{ k: 0, nSteps: 1, noiseLevel: 1, noisy, denoised: null }], words: "" }, 0);
      this.say("This is noise. Press “Draw a new one”, and a picture comes out of it.");
    }

    enable(isOn) {
      for (const control of this.root.querySelectorAll("button, input:not([type=file])")) control.disabled = !isOn;
    }

    /* ---- drawing ---- */

    get seed() {
      const number = Math.floor(Number(this.find(".seed").value));
      return number >= 0 ? number : 0;
    }

    nextSeed() {
      this.find(".seed").value = (this.seed + 1) % 2 ** 32;
    }

    number(selector) {
      return Number(this.find(selector).value);
    }

    /* Draw a picture of this.task. Slowly: each step can be seen. If the last one isn't done, stop that, or draw again
       when it is. */
    async draw({ slowly = false } = {}) {
      if (!this.model) return;
      if (this.stop && !slowly) {
        this.again = true; // settings change faster than pictures are drawn
        return;
      }
      this.stop?.abort();
      const stop = (this.stop = new AbortController());
      const { model } = this;
      const words = this.find(".ask").value;
      const size = this.number(".size");
      const record = { steps: [], words, seed: this.seed };
      try {
        const condition = model.conditionOf(words, { seed: record.seed });
        record.condition = condition?.[0] ?? null;
        const options = {
          seed: record.seed, steps: this.number(".steps"), spacing: this.find(".spacing").value, condition,
          stepSize: size < 1 ? null : size, guidance: this.number(".guidance"), signal: stop.signal, ...this.task.options,
        };
        if (slowly) {
          this.showBusy();
          this.say(`Drawing ${this.about(record)}.`);
        }
        for await (const step of model.sample(options)) {
          record.steps.push(step);
          if (slowly) {
            this.show(record, step.k);
            await pause(step.k ? Math.min(140, 1800 / step.nSteps) : 350, stop.signal);
          }
        }
        if (!slowly) this.show(record, record.steps.length - 1);
        this.keep(record, slowly);
        this.say(this.summary(record));
      } catch (error) {
        if (!stop.signal.aborted) this.fail(error);
        else if (this.stop === stop && slowly) this.say("Stopped.");
      }
      if (this.stop !== stop) return;
      this.stop = null;
      this.showBusy();
      if (this.again) {
        this.again = false;
        await this.draw();
      }
    }

    about({ words, condition }) {
      const asked = condition ? this.model.vocabulary.filter((_, k) => condition[k]) : [];
      return asked.length ? asked.join(", ") : words || "whatever comes";
    }

    summary(record) {
      const unknown = Dino.parseRequest(record.words, this.model.vocabulary).unknown;
      const hint = unknown.length ? ` The model doesn’t know: ${unknown.join(", ")}.` : "";
      return `Drawn in ${record.steps.length - 1} steps from seed ${record.seed}: ${this.about(record)}.${hint}`;
    }

    /* Play the recorded steps again. */
    async replay() {
      this.stop?.abort();
      const stop = (this.stop = new AbortController());
      const { shown } = this;
      this.showBusy();
      for (let k = 0; k < shown.steps.length && !stop.signal.aborted; k++) {
        this.show(shown, k);
        await pause(Math.min(220, 3000 / shown.steps.length), stop.signal).catch(() => {});
      }
      if (this.stop === stop) this.stop = null;
      this.showBusy();
    }

    showBusy() {
      const button = this.find(".replay");
      const label = this.stop ? "Stop" : "Replay the steps";
      button.textContent = this.stop ? "\u25a0" : "\u25b6\ufe0e";
      Object.assign(button, { title: label, ariaLabel: label });
    }

    /* ---- what is shown ---- */

    show(record, k) {
      Object.assign(this, { shown: record, k });
      const { noisy, denoised, noiseLevel, nSteps } = record.steps[k];
      this.put(this.find(".of-mix canvas"), noisy);
      this.put(this.find(".of-prediction canvas"), denoised ?? noisy.map(() => 0.5));
      const slider = this.find(".step");
      slider.max = Math.max(nSteps, record.steps.length - 1);
      slider.value = k;
      const level = `noise level ${noiseLevel.toFixed(2)}`;
      slider.setAttribute("aria-valuetext", `step ${k} of ${nSteps}, ${level}`);
      this.find(".of-mix canvas").setAttribute("aria-label", `The picture at step ${k} of ${nSteps}, ${level}`);
      this.find(".of-prediction canvas").setAttribute("aria-label", `The network’s prediction in step ${k} of ${nSteps}`);
      this.find(".of-mix figcaption").textContent = `the mix: ${level}`;
      for (const button of this.root.querySelectorAll(".shelf button"))
        button.setAttribute("aria-current", String(button.record === record));
    }

    /* Return an image (C, H, W) as the pixels of a canvas. */
    pixels(image) {
      const { channels, size } = this.model;
      const data = new ImageData(size, size);
      for (let at = 0; at < size * size; at++) {
        for (let c = 0; c < 3; c++) data.data[4 * at + c] = Math.round(255 * image[(c % channels) * size * size + at]);
        data.data[4 * at + 3] = 255;
      }
      return data;
    }

    put(canvas, image) {
      pen(canvas).putImageData(this.pixels(image), 0, 0);
    }

    /* Put a picture on the shelf: a new one in front, and one with other settings in place of the last one. */
    keep(record, isNew) {
      this.records = [record, ...this.records.slice(isNew ? 0 : 1)].slice(0, N_SHELF);
      this.showShelf();
    }

    showShelf() {
      const { size } = this.model;
      const items = this.records.map((record, k) => {
        const [item, button, canvas] = ["li", "button", "canvas"].map((tag) => document.createElement(tag));
        canvas.width = canvas.height = size;
        this.put(canvas, record.steps.at(-1).noisy);
        Object.assign(button, { type: "button", record });
        button.setAttribute("aria-label", `Picture ${this.records.length - k}: ${this.about(record)}`);
        button.setAttribute("aria-current", String(record === this.shown));
        button.addEventListener("click", () => {
          this.paintOn(false);
          this.show(record, record.steps.length - 1);
          this.say(this.summary(record));
        });
        button.append(canvas);
        item.append(button);
        return item;
      });
      this.find(".shelf").replaceChildren(...items);
    }

    say(sentence) {
      this.find(".status").textContent = sentence;
      this.find(".status").classList.remove("problem");
    }

    fail(error) {
      this.say(error instanceof Dino.Problem ? error.message : `Something went wrong: ${error.message}.`);
      this.find(".status").classList.add("problem");
    }

    /* ---- words ---- */

    showChips() {
      const { vocabulary } = this.model;
      const text = this.find(".ask").value;
      const typed = text.toLowerCase().split(/\s+/).at(-1);
      const fits = (word) => typed.length > 1 && word.startsWith(typed);
      const chosen = Dino.parseRequest(text, vocabulary).words;
      const shown = vocabulary.length > MAX_CHIPS ? vocabulary.filter((word) => fits(word) || chosen.includes(word)) : vocabulary;
      const words = (shown.length ? shown : vocabulary).slice(0, MAX_CHIPS);
      const chips = this.find(".chips");
      if (chips.childElementCount !== words.length || words.some((word, k) => chips.children[k].textContent !== word))
        chips.replaceChildren(...words.map((word) => this.chip(word)));
      for (const chip of chips.children) {
        chip.setAttribute("aria-pressed", String(chosen.includes(chip.textContent)));
        chip.classList.toggle("fits", fits(chip.textContent));
      }
    }

    chip(word) {
      const chip = Object.assign(document.createElement("button"), { type: "button", textContent: word });
      chip.addEventListener("click", () => {
        const ask = this.find(".ask");
        const typed = ask.value.split(/\s+/).filter(Boolean);
        const means = (text) => Dino.parseRequest(text, [word]).words.length > 0;
        if (means(ask.value)) ask.value = typed.filter((each) => !means(each)).join(" ");
        else if (chip.classList.contains("fits")) ask.value = [...typed.slice(0, -1), word].join(" "); // completes it
        else ask.value = [...typed, word].join(" ");
        this.changed();
      });
      return chip;
    }

    /* ---- painting: a layer with the known pixels, and a mask that is 1 where they are known ---- */

    paintOn(isOn) {
      this.painting = isOn;
      this.find(".of-paint").hidden = !isOn;
      this.root.classList.toggle("is-painting", isOn);
      this.find(".paint").setAttribute("aria-pressed", String(isOn));
      const canvas = this.find(".of-mix canvas");
      canvas.setAttribute("role", isOn ? "application" : "img");
      if (isOn) canvas.tabIndex = 0;
      else canvas.removeAttribute("tabindex");
      this.find(".cell").hidden = true;
      if (isOn) {
        this.stop?.abort();
        this.layer ??= this.layerOf(1);
        this.cell ??= { x: this.model.size >> 1, y: this.model.size >> 1 };
        this.showLayer();
        canvas.setAttribute("aria-label", "Painting area. Arrow keys move, the space bar paints.");
        this.say("Paint with a color, or make squares free. Then have them filled in.");
      } else if (this.shown) this.show(this.shown, this.k);
    }

    /* Return a new layer: the picture with every pixel known, or none. */
    layerOf(known) {
      const { size } = this.model;
      const image = this.shown.steps.at(-1).noisy.map((value) => Math.min(1, Math.max(0, value)));
      return { image: known ? image : image.map(() => 1), mask: new Float32Array(size * size).fill(known) };
    }

    showLayer() {
      const { size } = this.model;
      const data = this.pixels(this.layer.image);
      this.layer.mask.forEach((isKnown, at) => {
        const gray = (at + Math.floor(at / size)) % 2 ? 172 : 190;
        if (!isKnown) data.data.set([gray, gray, gray, 255], 4 * at);
      });
      pen(this.find(".of-mix canvas")).putImageData(data, 0, 0);
    }

    /* Paint a round spot around a pixel. */
    dab(x, y) {
      const { size, channels } = this.model;
      const width = this.number(".brush");
      const radius = width / 2;
      const middle = width % 2 ? 0 : 0.5; // an even brush has its middle between pixels
      for (let row = 0; row < size; row++)
        for (let column = 0; column < size; column++) {
          if (Math.hypot(column - x + middle, row - y + middle) > radius) continue;
          const at = row * size + column;
          this.layer.mask[at] = this.color ? 1 : 0;
          for (let c = 0; c < channels; c++)
            this.layer.image[c * size * size + at] = this.color ? inChannels(this.color, channels)[c] : 1;
        }
    }

    /* Paint from the last pixel to this one. */
    stroke(from, to) {
      const n = Math.max(1, Math.abs(to.x - from.x), Math.abs(to.y - from.y));
      for (let k = 0; k <= n; k++)
        this.dab(Math.round(from.x + ((to.x - from.x) * k) / n), Math.round(from.y + ((to.y - from.y) * k) / n));
      this.showLayer();
    }

    placeOf(event) {
      const box = this.find(".of-mix canvas").getBoundingClientRect();
      const within = (share) => Math.min(this.model.size - 1, Math.max(0, Math.floor(share * this.model.size)));
      return { x: within((event.clientX - box.left) / box.width), y: within((event.clientY - box.top) / box.height) };
    }

    showCell() {
      const { size } = this.model;
      const { x, y } = this.cell;
      const percent = (share) => `${(100 * share) / size}%`;
      const cell = this.find(".cell");
      Object.assign(cell.style, { left: percent(x), top: percent(y), width: percent(1), height: percent(1) });
      cell.hidden = false;
    }

    onPaintKey(event) {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!this.painting || !(move || event.key === " ")) return;
      event.preventDefault();
      const { size } = this.model;
      if (move) {
        const within = (value) => Math.min(size - 1, Math.max(0, value));
        this.cell = { x: within(this.cell.x + move[0]), y: within(this.cell.y + move[1]) };
        if (event.shiftKey) this.stroke(this.cell, this.cell);
      } else this.stroke(this.cell, this.cell);
      this.showCell();
      this.say(`Column ${this.cell.x + 1}, row ${this.cell.y + 1}: ${this.layer.mask[this.cell.y * size + this.cell.x] ? "painted" : "free"}.`);
    }

    swatches() {
      const swatch = (name, color, label) => {
        const button = Object.assign(document.createElement("button"), { type: "button", title: label, color });
        button.setAttribute("aria-label", label);
        button.style.setProperty("--color", color ?? "repeating-conic-gradient(#bebebe 0 25%, #acacac 0 50%) 0 0 / 0.8rem 0.8rem");
        button.addEventListener("click", () => this.choose(button));
        return button;
      };
      return [swatch("free", null, "Make free"), ...Object.entries(COLORS).map(([name, color]) => swatch(name, color, name))];
    }

    choose(button) {
      this.color = button.color;
      for (const each of this.find(".palette").children) each.setAttribute("aria-pressed", String(each === button));
    }

    fill() {
      if (this.layer.mask.every((known) => known))
        return this.say("Nothing is free yet. Choose the gray squares, and paint over what should be drawn anew.");
      const { image: known, mask } = this.copyOfLayer();
      return this.run({ kind: "fill", options: { known, mask } });
    }

    vary() {
      const { image: start } = this.copyOfLayer();
      return this.run({ kind: "vary", options: { start, from: this.number(".from") } });
    }

    copyOfLayer() {
      return { image: this.layer.image.slice(), mask: this.layer.mask.slice() };
    }

    run(task) {
      if (task.kind !== "new" && task.kind === this.task.kind) this.nextSeed(); // the same wish again: another picture
      this.task = task;
      this.paintOn(false);
      return this.draw({ slowly: true });
    }

    /* ---- saving ---- */

    fileName(end) {
      const words = Dino.splitWords(this.shown.words).join("-") || this.name || "picture";
      return `${words}-seed-${this.shown.seed ?? this.seed}.${end}`;
    }

    savePng() {
      const { size } = this.model;
      const small = Object.assign(document.createElement("canvas"), { width: size, height: size });
      this.put(small, this.shown.steps[this.k].noisy);
      const scale = Math.ceil(512 / size);
      const large = Object.assign(document.createElement("canvas"), { width: scale * size, height: scale * size });
      const onLarge = large.getContext("2d");
      onLarge.imageSmoothingEnabled = false;
      onLarge.drawImage(small, 0, 0, large.width, large.height);
      large.toBlob((blob) => this.download(blob, this.fileName("png")));
    }

    saveGif() {
      const { steps } = this.shown;
      const { size } = this.model;
      const delay = (k) => (k === steps.length - 1 ? 200 : k ? Math.max(4, Math.round(200 / steps.length)) : 50);
      const frames = steps.map((step, k) => ({ pixels: this.pixels(step.noisy).data, delay: delay(k) }));
      const bytes = Dino.gif(frames, size, Math.ceil(256 / size));
      this.download(new Blob([bytes], { type: "image/gif" }), this.fileName("gif"));
    }

    download(blob, name) {
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      this.say(`Saved ${name}.`);
    }

    /* ---- events ---- */

    listen(picker) {
      const on = (selector, event, handler) => this.find(selector).addEventListener(event, handler);
      on(".draw", "click", () => {
        if (this.records.length) this.nextSeed(); // the first picture comes out of the noise that is shown
        this.run({ kind: "new" });
      });
      on(".paint", "click", () => this.paintOn(!this.painting));
      on(".png", "click", () => this.savePng());
      on(".gif", "click", () => this.saveGif());
      on(".fill", "click", () => this.fill());
      on(".vary", "click", () => this.vary());
      on(".empty", "click", () => this.setLayer(0));
      on(".refill", "click", () => this.setLayer(1));
      on(".replay", "click", () => (this.stop ? this.stop.abort() : this.replay()));
      on(".both", "click", () => this.showBoth());
      on(".step", "input", () => {
        const k = Math.min(this.number(".step"), this.shown.steps.length - 1);
        this.stop?.abort();
        this.paintOn(false);
        this.show(this.shown, k);
      });
      on(".ask", "input", () => this.showChips());
      for (const selector of [".ask", ".guidance", ".seed", ".steps", ".spacing", ".size"])
        on(selector, selector === ".ask" ? "change" : "input", () => this.changed());
      for (const selector of [".brush", ".from"]) on(selector, "input", () => this.update());
      this.listenToPainting(this.find(".of-mix canvas"));
      if (picker) this.listenToFiles();
    }

    listenToPainting(canvas) {
      let last = null;
      canvas.addEventListener("pointerdown", (event) => {
        if (!this.painting) return;
        canvas.setPointerCapture(event.pointerId);
        this.find(".cell").hidden = true;
        last = this.cell = this.placeOf(event);
        this.stroke(last, last);
      });
      canvas.addEventListener("pointermove", (event) => {
        if (!last) return;
        const place = this.placeOf(event);
        this.stroke(last, place);
        last = this.cell = place;
      });
      for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (last = null));
      canvas.addEventListener("keydown", (event) => this.onPaintKey(event));
      canvas.addEventListener("blur", () => (this.find(".cell").hidden = true));
    }

    listenToFiles() {
      const take = async (file) => file && this.open(await file.arrayBuffer(), file.name.replace(/\.safetensors$/, ""));
      const input = this.find(".file input");
      input.addEventListener("change", () => take(input.files[0]));
      this.root.addEventListener("dragover", (event) => {
        event.preventDefault();
        this.root.classList.add("dropping");
      });
      this.root.addEventListener("dragleave", () => this.root.classList.remove("dropping"));
      this.root.addEventListener("drop", (event) => {
        event.preventDefault();
        this.root.classList.remove("dropping");
        take(event.dataTransfer.files[0]);
      });
    }

    setLayer(known) {
      this.layer = this.layerOf(known);
      this.showLayer();
    }

    showBoth() {
      const isOn = this.find(".of-prediction").hidden;
      this.find(".of-prediction").hidden = !isOn;
      this.find(".views").classList.toggle("side-by-side", isOn);
      this.find(".both").setAttribute("aria-pressed", String(isOn));
    }

    /* A setting has changed: draw the picture with it. */
    changed() {
      this.update();
      this.showChips();
      if (this.painting) return;
      this.draw();
    }

    /* Show the numbers beside the sliders. */
    update() {
      const beside = (selector, text) => {
        const input = this.find(selector);
        input.parentElement.querySelector("output").textContent = text;
        input.setAttribute("aria-valuetext", text);
      };
      beside(".guidance", this.number(".guidance").toFixed(1));
      beside(".steps", this.find(".steps").value);
      beside(".size", this.number(".size") < 1 ? "exact" : this.number(".size").toFixed(1));
      beside(".brush", this.find(".brush").value);
      beside(".from", this.number(".from").toFixed(2));
    }
  }

  /* Return what draws on a canvas. Such small ones are quicker in the processor's memory than in the graphics card's. */
  const pen = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

  /* Return a color such as "#d9483b" as numbers in [0, 1], for color or gray images. */
  function inChannels(color, channels) {
    const rgb = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255);
    return channels === 3 ? rgb : [0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]];
  }

  /* Wait some milliseconds, unless the signal comes first. */
  function pause(milliseconds, signal) {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const timer = setTimeout(resolve, milliseconds);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    });
  }
});
