/* A model: the network in its workers, and drawing with it. */

Dino.define(function model(Dino) {
  "use strict";
  const GUIDANCE = 1.5; // `dino.steering.GUIDANCE`
  const MAX_WORKERS = 4;
  // The smallest module with a vector instruction.
  const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

  /* Return a sentence that says why this browser can't run a network, or "" if it can. */
  Dino.obstacle = function obstacle() {
    if (typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(SIMD)) && typeof Worker === "function")
      return "";
    return "This browser can't run the network, because it lacks WebAssembly with SIMD. Browsers since 2023 have it.";
  };

  /* Load a model.safetensors: an ArrayBuffer or Uint8Array. Returns a Dino.Model.

     Throws Dino.Problem, whose message is one sentence: if the file isn't a network of dino's, or the browser is too
     old. Options: workers, how many predictions may be computed at the same time. */
  Dino.load = async function load(bytes, { workers } = {}) {
    const obstacle = Dino.obstacle();
    if (obstacle) throw new Dino.Problem(obstacle);
    const most = workers ?? Math.min(MAX_WORKERS, self.navigator.hardwareConcurrency || 2);
    const pool = new Pool(bytes, most);
    try {
      return new Dino.Model(pool, await pool.describe());
    } catch (error) {
      pool.close();
      throw error;
    }
  };

  Dino.Model = class Model {
    constructor(pool, { config, vocabulary, wordSets, metadata }) {
      const { size, channels } = config;
      Object.assign(this, { pool, config, vocabulary, wordSets, metadata, size, channels });
    }

    /* Predict the clean images.

       noisy: a Float32Array (N, C, H, W), square unless `height` and `width` say otherwise. noiseLevel: in [0, 1].
       Options:
         condition: n_words numbers in [0, 1], or an array of them with one for each image. See `conditionOf`.
         guidance: how strictly to follow the condition: 0 ignores it, 1 is neutral, more exaggerates.
         height, width: divisible by 2 ** (widths.length - 1). By default the model's size.
         layers: true to get what each layer returns, too, for one image.
         skips: false to cut the network's long skips, and see what they are for.
         signal: an AbortSignal; the promise then rejects with its reason.
         onProgress: called as onProgress(done, total) after each prediction.

       Returns {denoised, layers}. `layers` maps names such as "down.0.1" to {values, shape}, with the shape (C, H, W). */
    async denoise(noisy, noiseLevel, options = {}) {
      const { condition = null, guidance = GUIDANCE, height = this.size, width = this.size, signal } = options;
      const { layers = false, skips = true, onProgress } = options;
      const stronger = guidance / (this.metadata.distilled?.guidance ?? 1); // `dino.trainer.model_file.guidance_beyond`
      const floats = this.channels * height * width;
      const n = this.checkedCount(noisy, height, width);
      const rows = Array.isArray(condition) && typeof condition[0] !== "number" ? condition : Array(n).fill(condition);
      let done = 0;
      const tasks = Array.from({ length: n }, (_, k) => {
        const image = noisy.subarray(k * floats, (k + 1) * floats);
        const predict = async (row) => {
          const task = { noisy: image, height, width, noiseLevel, condition: row, layers, skips };
          const result = await this.pool.run(task, signal);
          onProgress?.(++done, total);
          return result;
        };
        if (rows[k] === null || stronger === 0) return [predict(null)];
        return stronger === 1 ? [predict(rows[k])] : [predict(null), predict(rows[k])];
      });
      const total = tasks.flat().length;
      const results = await Promise.all(tasks.map((predictions) => Promise.all(predictions)));
      const denoised = new Float32Array(noisy.length);
      results.forEach(([first, second], k) => {
        const image = second ? Dino.guide(first.denoised, second.denoised, stronger) : first.denoised;
        denoised.set(image, k * floats);
      });
      return { denoised, layers: results[0].at(-1).layers };
    }

    checkedCount(noisy, height, width) {
      const n = noisy.length / (this.channels * height * width);
      const multiple = 2 ** (this.config.widths.length - 1);
      if (!Number.isInteger(n) || n < 1 || height % multiple || width % multiple)
        throw new Dino.Problem(
          `${noisy.length} numbers aren't images of ${this.channels} channels, ${height} x ${width}, ` +
            `with sides divisible by ${multiple}.`,
        );
      return n;
    }

    /* Draw images. Yields after each step {k, nSteps, noiseLevel, noisy, denoised}, and before the first one the noise,
       as k = 0 with `denoised` null. Images are (n, C, size, size), not clamped to [0, 1].

       Options, besides those of `denoise`:
         n: how many images; seed: determines them, as in `dino sample`.
         steps, spacing ("warped" or "even"), stepSize: see `Dino.stepsOf`.
         words: a text such as "a green stegosaurus without a hat", completed as `dino sample --ask` does. Without one, a
           model that knows words draws all sorts, unless `condition` is null.
         known, mask: an image (C, H, W) to keep where the mask (H, W) is 1.
         start, from: an image (C, H, W) to vary, and the noise level to start from. */
    async *sample(options = {}) {
      const { n = 1, seed = 0, known, mask, start, from = 0.7 } = options;
      const student = this.metadata.distilled; // it has its own number of steps, of size 1
      const usual = student ? { steps: student.n_steps, stepSize: 1 } : {};
      const { steps = usual.steps, stepSize: size = null } = options;
      const { schedule, stepSize } = Dino.stepsOf({ ...options, steps, stepSize: size ?? usual.stepSize });
      const scale = start ? from : 1;
      const condition = options.condition === undefined ? this.conditionOf(options.words, { n, seed }) : options.condition;
      const noise = new Dino.Random(seed).rand(n * this.channels * this.size ** 2);
      const noisy = start ? Dino.mix(repeated(start, n), noise, scale) : noise;
      let denoiser = async (images, level) => (await this.denoise(images, level, { ...options, condition })).denoised;
      if (known) denoiser = Dino.keeping(denoiser, repeated(known, n), repeated(mask, n * this.channels));
      const levels = schedule.map((level) => scale * level);
      let k = 0;
      yield { k, nSteps: stepSize.length, noiseLevel: scale, noisy, denoised: null };
      for await (const step of Dino.denoise(denoiser, noisy, levels, stepSize)) {
        yield { k: ++k, nSteps: stepSize.length, ...step };
      }
    }

    /* Return a condition for each of n images, from words. Without words, the images show all sorts; null if the model
       knows no words. Throws Dino.Problem if it knows none of these. */
    conditionOf(words, { n = 1, seed = 0 } = {}) {
      const { vocabulary, wordSets } = this;
      const request = Dino.parseRequest(words ?? "", vocabulary);
      if (Dino.splitWords(words ?? "").length && !request.words.length)
        throw new Dino.Problem(
          vocabulary.length
            ? `The model knows none of these words. It knows: ${vocabulary.join(", ")}.`
            : "This model was trained without words, so it can't be asked for anything.",
        );
      if (!vocabulary.length || (!request.words.length && !wordSets.length)) return null;
      const random = Dino.seeded(seed, "words");
      return Array.from({ length: n }, () => Dino.complete(request, vocabulary, wordSets, random));
    }

    /* How many bytes of memory the networks of all workers take. */
    get memory() {
      return [...this.pool.memory.values()].reduce((sum, bytes) => sum + bytes, 0);
    }

    /* End the workers. The model can't be used anymore. */
    close() {
      this.pool.close();
    }
  };

  /* Return an image `times` times, one after another. Of a mask (H, W), each channel gets a copy. */
  function repeated(image, times) {
    const all = new Float32Array(times * image.length);
    for (let k = 0; k < times; k++) all.set(image, k * image.length);
    return all;
  }

  /* ---- workers ---- */

  /* Workers with the same network. The second one starts when the first one is busy, and so on. */
  class Pool {
    constructor(bytes, most) {
      Object.assign(this, { bytes, most, workers: [], idle: [], waiting: [], memory: new Map(), closed: false });
    }

    /* Start the first worker, and return what it found in the file. */
    async describe() {
      return this.start();
    }

    async start() {
      const address = URL.createObjectURL(new Blob([`${Dino.source()}\nDino.work();`], { type: "text/javascript" }));
      const worker = new Worker(address);
      this.workers.push(worker);
      try {
        const description = await ask(worker, { load: this.bytes, engine: Dino.engine });
        this.idle.push(worker);
        this.next();
        return description;
      } finally {
        URL.revokeObjectURL(address);
      }
    }

    /* Return the prediction for one image. */
    run(task, signal) {
      if (this.closed) throw new Dino.Problem("This model was closed.");
      return new Promise((resolve, reject) => {
        const entry = { task, signal, resolve, reject };
        signal?.addEventListener("abort", () => {
          this.waiting = this.waiting.filter((other) => other !== entry);
          reject(signal.reason);
        });
        if (signal?.aborted) return reject(signal.reason);
        this.waiting.push(entry);
        return this.next();
      });
    }

    next() {
      while (this.waiting.length && this.idle.length) this.give(this.idle.pop(), this.waiting.shift());
      const starting = this.workers.length - this.idle.length;
      if (this.waiting.length && this.workers.length < this.most && starting >= this.workers.length) this.more();
    }

    async give(worker, { task, resolve, reject }) {
      try {
        const { memory, ...result } = await ask(worker, { predict: task });
        this.memory.set(worker, memory);
        resolve(result);
      } catch (error) {
        reject(error);
      }
      this.idle.push(worker);
      this.next();
    }

    async more() {
      try {
        await this.start();
      } catch {
        this.most = this.workers.length - 1; // there is no memory for another one, and the others go on
      }
    }

    close() {
      this.closed = true;
      for (const worker of this.workers) worker.terminate();
      for (const { reject } of this.waiting.splice(0)) reject(new Dino.Problem("This model was closed."));
    }
  }

  /* Send a request to a worker that has no other, and return its response. */
  function ask(worker, request) {
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.problem ? reject(new Dino.Problem(data.problem)) : resolve(data));
      worker.onerror = (event) => reject(new Dino.Problem(`The network stopped: ${event.message}.`));
      worker.postMessage(request);
    });
  }

  /* The worker's side: respond to each request. */
  Dino.work = function work() {
    let network = null;
    self.onmessage = async ({ data: { load, engine, predict } }) => {
      try {
        if (load) {
          const { tensors, ...description } = Dino.readModel(load);
          network = await Dino.Network.create(engine, { ...description, tensors });
          self.postMessage(description);
        } else {
          const layers = predict.layers ? {} : null;
          const onLayer = layers && ((name, values, shape) => (layers[name] = { values, shape }));
          const denoised = network.predict({ ...predict, onLayer });
          const memory = network.wasm.memory.buffer.byteLength;
          self.postMessage({ denoised, layers, memory }, [denoised.buffer]);
        }
      } catch (error) {
        const isKnown = error instanceof Dino.Problem;
        self.postMessage({ problem: isKnown ? error.message : `The network can't be used: ${error.message}.` });
      }
    };
  };
});
