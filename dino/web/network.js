/* The network: dino's UNet, whose layers are the functions of engine.c. See `UNet.forward` in dino/denoiser.py. */

Dino.define(function network(Dino) {
  "use strict";
  const BLOCK = 8; // channels are rounded up to a multiple of this; see engine.c
  const rounded = (channels) => Math.ceil(channels / BLOCK) * BLOCK;
  const wordsOf = (config) => (config.vocabulary ?? []).length;

  /* Return the shape of each weight of a network, by its name in the file. */
  Dino.weightShapes = function weightShapes(config) {
    const { channels, widths, depths } = config;
    const shapes = {};
    const prefix = wordsOf(config) ? "unet." : "";
    const conv = (name, outputs, inputs, side, bias) => {
      shapes[`${prefix}${name}.weight`] = [outputs, inputs, side, side];
      if (bias) shapes[`${prefix}${name}.bias`] = [outputs];
    };
    const stage = (name, inputs, outputs, depth) => {
      conv(`${name}.0`, outputs, inputs, 3, false);
      for (let k = 1; k <= depth; k++) {
        conv(`${name}.${k}.body.0`, outputs, outputs, 3, true);
        conv(`${name}.${k}.body.2`, outputs, outputs, 3, false);
      }
      conv(`${name}.${depth + 1}.body.0`, 4 * outputs, outputs, 1, true);
      conv(`${name}.${depth + 1}.body.2`, outputs, 4 * outputs, 1, false);
    };
    const into = [channels + wordsOf(config) + 1, ...widths];
    widths.forEach((width, i) => stage(`down.${i}`, into[i], width, depths[i]));
    for (let i = widths.length - 1; i > 0; i--)
      stage(`up.${widths.length - 1 - i}`, widths[i], widths[i - 1], depths[i]);
    stage("head.0", widths[0], widths[0], depths[0]);
    conv("head.1", widths[0], widths[0], 3, true);
    conv("head.3", channels, widths[0], 3, true);
    return shapes;
  };

  /* A network in WebAssembly. It runs where it is made: in a worker, unless the page may stop for a while.

       const network = await Dino.Network.create(engine, Dino.readModel(bytes));   // engine: the bytes of engine.wasm
       const denoised = network.predict({noisy, height: 32, width: 32, noiseLevel: 0.5}); */
  Dino.Network = class Network {
    static async create(engine, model) {
      const { instance } = await WebAssembly.instantiate(engine, {});
      return new Network(instance.exports, model);
    }

    constructor(wasm, { config, tensors }) {
      Object.assign(this, { wasm, config, layers: new Map(), buffers: new Map(), filled: new Map() });
      const prefix = wordsOf(config) ? "unet." : "";
      for (const [key, { shape, values }] of Object.entries(tensors)) {
        if (!key.endsWith(".weight")) continue;
        const name = key.slice(prefix.length, -".weight".length);
        const layer = { outputs: rounded(shape[0]), inputs: rounded(shape[1]) };
        layer.bias = this.copy(tensors[key.replace(/weight$/, "bias")]?.values ?? [], layer.outputs);
        layer.weights = shape[2] === 3 ? this.transformed(values, shape, layer) : this.matrix(values, shape, layer);
        this.layers.set(name, layer);
      }
      const sizes = [...this.layers.values()].map(({ inputs, outputs }) => wasm.conv_scratch(inputs, outputs));
      this.scratch = this.allocate(Math.max(...sizes));
      this.free = this.allocate(0); // everything from here on belongs to the images
    }

    /* ---- memory ---- */

    allocate(floats) {
      const address = this.wasm.allocate(floats);
      if (!address) throw new Dino.Problem("There isn't enough memory for this network.");
      return address;
    }

    /* Return numbers of WebAssembly's memory. The array is valid until the next allocation. */
    numbers(address, floats) {
      return new Float32Array(this.wasm.memory.buffer, address, floats);
    }

    copy(values, floats) {
      const address = this.allocate(floats);
      this.numbers(address, values.length).set(values);
      return address;
    }

    transformed(values, [outputs, inputs], layer) {
      const address = this.allocate(16 * layer.inputs * layer.outputs);
      const temporary = this.copy(values, values.length);
      this.wasm.transform_weights(temporary, outputs, inputs, address, layer.inputs, layer.outputs);
      this.wasm.release(temporary);
      return address;
    }

    matrix(values, [outputs, inputs], layer) {
      const address = this.allocate(layer.outputs * layer.inputs);
      const rows = this.numbers(address, layer.outputs * layer.inputs);
      for (let row = 0; row < outputs; row++)
        rows.set(values.subarray(row * inputs, (row + 1) * inputs), row * layer.inputs);
      return address;
    }

    /* Return an image with its border of zeros. The same name gives the same memory in the next call. */
    image(name, height, width, channels) {
      const all = rounded(channels);
      if (!this.buffers.has(name)) this.buffers.set(name, this.allocate(this.wasm.image_floats(height, width, all)));
      return { address: this.buffers.get(name), height, width, channels: all };
    }

    /* ---- pixels in and out ---- */

    /* Call `visit(numbers, at)` for each pixel of an image: its channels are numbers[at], numbers[at + 1] and so on. */
    visit({ address, height, width, channels }, visit) {
      const numbers = this.numbers(address, this.wasm.image_floats(height, width, channels));
      const row = (width + (width & 1) + 2) * channels;
      for (let y = 1; y <= height; y++) for (let x = 1; x <= width; x++) visit(numbers, y * row + x * channels);
    }

    /* Write values (C, H, W) into the first channels of an image. */
    write(image, values, channels) {
      const pixels = image.height * image.width;
      let pixel = 0;
      this.visit(image, (numbers, at) => {
        for (let c = 0; c < channels; c++) numbers[at + c] = values[c * pixels + pixel];
        pixel++;
      });
    }

    /* Set a whole channel of the input to a number, unless it is the same already. */
    fill(input, channel, value) {
      if (this.filled.get(channel) === value) return;
      this.filled.set(channel, value);
      this.visit(input, (numbers, at) => (numbers[at + channel] = value));
    }

    /* Return the first channels of an image, (C, H, W). */
    read(image, channels) {
      const pixels = image.height * image.width;
      const values = new Float32Array(channels * pixels);
      let pixel = 0;
      this.visit(image, (numbers, at) => {
        for (let c = 0; c < channels; c++) values[c * pixels + pixel] = numbers[at + c];
        pixel++;
      });
      return values;
    }

    /* ---- layers ---- */

    conv(name, x, out, { relu = false, skip = null } = {}) {
      const { weights, bias, inputs, outputs } = this.layers.get(name);
      const { height, width } = x;
      this.wasm.conv(
        x.address, out.address, weights, bias, skip?.address ?? 0, relu, height, width, inputs, outputs, this.scratch,
      );
      return out;
    }

    pool(name, { address, height, width, channels }) {
      const [widen, narrow] = [this.layers.get(`${name}.body.0`), this.layers.get(`${name}.body.2`)];
      const { weights, bias, outputs } = widen;
      this.wasm.pool(address, weights, bias, narrow.weights, height, width, channels, outputs, this.scratch);
    }

    stage(name, input, channels, depth) {
      const { height, width } = input;
      const [x, inner] = ["x", "inner"].map((role) => this.image(`${name}.${role}`, height, width, channels));
      this.conv(`${name}.0`, input, x);
      this.report(`${name}.0`, x, channels);
      for (let k = 1; k <= depth; k++) {
        this.conv(`${name}.${k}.body.0`, x, inner, { relu: true });
        this.conv(`${name}.${k}.body.2`, inner, x, { skip: x });
        this.report(`${name}.${k}`, x, channels);
      }
      this.pool(`${name}.${depth + 1}`, x);
      this.report(`${name}.${depth + 1}`, x, channels);
      return x;
    }

    report(name, image, channels) {
      this.onLayer?.(name, this.read(image, channels), [channels, image.height, image.width]);
    }

    /* Predict the clean image.

       noisy: (C, H, W); noiseLevel: in [0, 1]; condition: n_words numbers, or null if nothing was asked for; skips: false
       to add zeros instead of what the stages on the way down return. Returns a Float32Array (C, H, W).
       `onLayer(name, values, shape)`, if given, gets what each layer returns. */
    predict({ noisy, height, width, noiseLevel, condition = null, skips: hasSkips = true, onLayer = null }) {
      const { channels, widths, depths } = this.config;
      const [words, last] = [wordsOf(this.config), widths.length - 1];
      if (this.side !== `${height} x ${width}`) this.forget();
      Object.assign(this, { side: `${height} x ${width}`, onLayer });
      let x = this.image("input", height, width, channels + words + 1);
      this.write(x, noisy, channels);
      for (let word = 0; word < words; word++) this.fill(x, channels + word, condition?.[word] ?? 0);
      this.fill(x, channels + words, noiseLevel);
      const skips = [];
      for (let i = 0; i <= last; i++) {
        x = this.stage(`down.${i}`, x, widths[i], depths[i]);
        if (i === last) break;
        skips.push(x);
        const half = this.image(`half.${i}`, x.height / 2, x.width / 2, widths[i]);
        this.wasm.halve(x.address, half.address, half.height, half.width, half.channels);
        x = half;
      }
      for (let i = last; i > 0; i--) {
        x = this.stage(`up.${last - i}`, x, widths[i - 1], depths[i]);
        const skip = skips.pop();
        if (!hasSkips) this.numbers(skip.address, this.wasm.image_floats(skip.height, skip.width, skip.channels)).fill(0);
        const sum = this.image(`double.${i}`, skip.height, skip.width, widths[i - 1]);
        this.wasm.double_and_add(x.address, skip.address, sum.address, sum.height, sum.width, sum.channels);
        x = sum;
      }
      x = this.stage("head.0", x, widths[0], depths[0]);
      x = this.conv("head.1", x, this.image("head.1", height, width, widths[0]), { relu: true });
      this.report("head.2", x, widths[0]); // after the ReLU
      x = this.conv("head.3", x, this.image("head.3", height, width, channels));
      this.report("head.3", x, channels);
      return this.read(x, channels);
    }

    /* Give back the memory of all images, because the next one has another size. */
    forget() {
      this.wasm.release(this.free);
      this.buffers.clear();
      this.filled.clear();
    }
  };
});
