/* Reading model.safetensors: the weights of a network, and the configuration to rebuild it. */

Dino.define(function safetensors(Dino) {
  "use strict";
  const FORMAT = 3; // `dino.trainer.tensor_file.FORMAT`
  const BYTES = { F16: 2, F32: 4 };
  const MAX_HEADER = 100e6;

  /* Return {config, vocabulary, wordSets, metadata, tensors} of a file: an ArrayBuffer or Uint8Array.

     `tensors` maps names to {shape, values}, with values as a Float32Array. Throws Dino.Problem if the file isn't a
     model of dino, or isn't whole. */
  Dino.readModel = function readModel(file) {
    const bytes = ArrayBuffer.isView(file) ? new Uint8Array(file.buffer, file.byteOffset, file.byteLength) : new Uint8Array(file);
    const { header, start } = readHeader(bytes);
    const description = describe(header.__metadata__);
    const { config, word_sets: wordSets = [] } = description.metadata;
    checkConfig(config, wordSets);
    const expected = Dino.weightShapes(config);
    const tensors = {};
    for (const name of Object.keys({ ...expected, ...header })) {
      if (name === "__metadata__") continue;
      const [want, have] = [expected[name], header[name]].map((shape) => shape && JSON.stringify(shape.shape ?? shape));
      if (want !== have)
        throw new Dino.Problem(`This isn't a network of dino's: ${name} is ${have ?? "absent"} and should be ${want ?? "absent"}.`);
      tensors[name] = { shape: header[name].shape, values: readTensor(bytes, start, name, header[name]) };
    }
    return { config, vocabulary: config.vocabulary ?? [], wordSets, metadata: description.metadata, tensors };
  };

  function readHeader(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = bytes.length < 10 ? NaN : Number(view.getBigUint64(0, true));
    if (!(length < MAX_HEADER && bytes[8] === 0x7b))
      throw new Dino.Problem("This isn't a safetensors file. Choose the model.safetensors of a run.");
    if (8 + length > bytes.length) throw new Dino.Problem("This file was cut short. Use a copy that is whole.");
    try {
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
      if (header !== null && typeof header === "object") return { header, start: 8 + length };
    } catch {} // below
    throw new Dino.Problem("The header of this file is damaged. Use a copy that is whole.");
  }

  function describe(metadata) {
    let description;
    try {
      description = JSON.parse(metadata.dino);
    } catch {
      throw new Dino.Problem("This file wasn't written by dino. Choose the model.safetensors of a run.");
    }
    if (description?.kind !== "weights")
      throw new Dino.Problem("This file holds no weights to draw with. Choose model.safetensors in the same folder.");
    if (description.format !== FORMAT)
      throw new Dino.Problem(`This file is of another version of dino: format ${description.format}, not ${FORMAT}.`);
    return description;
  }

  function checkConfig(config, wordSets) {
    const isCount = (value, least, most) => Number.isInteger(value) && value >= least && value <= most;
    const { size, channels, widths, depths, vocabulary = [] } = config ?? {};
    const fits =
      isCount(size, 1, 1024) &&
      (channels === 1 || channels === 3) &&
      [widths, depths].every(Array.isArray) &&
      widths.length === depths.length &&
      isCount(widths.length, 1, 11) &&
      widths.every((width) => isCount(width, 1, 4096)) &&
      depths.every((depth) => isCount(depth, 0, 64)) &&
      size % 2 ** (widths.length - 1) === 0 &&
      Array.isArray(vocabulary) &&
      vocabulary.length <= 1024 &&
      vocabulary.every((word) => typeof word === "string") &&
      Array.isArray(wordSets) &&
      wordSets.every((set) => Array.isArray(set) && set.every((column) => isCount(column, 0, vocabulary.length - 1)));
    if (!fits) throw new Dino.Problem("This file doesn't describe a network of dino's. Use another copy.");
  }

  function readTensor(bytes, start, name, { dtype, shape, data_offsets: offsets }) {
    if (!(dtype in BYTES))
      throw new Dino.Problem(`${name} is stored as ${dtype}, and only float32 (F32) and float16 (F16) can be read.`);
    const n = shape.reduce((product, side) => product * side, 1);
    const [from, to] = Array.isArray(offsets) ? offsets : [];
    if (!(from >= 0 && to - from === n * BYTES[dtype]))
      throw new Dino.Problem(`${name} has another length than its header says. Use a copy that is whole.`);
    if (start + to > bytes.length) throw new Dino.Problem("This file was cut short. Use a copy that is whole.");
    const own = bytes.slice(start + from, start + to).buffer; // aligned, unlike the file
    return dtype === "F32" ? new Float32Array(own) : fromHalf(new Uint16Array(own));
  }

  /* Return 16-bit floats as 32-bit ones. */
  function fromHalf(halves) {
    table ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => valueOfHalf(half)); // a lookup is far quicker
    const floats = new Float32Array(halves.length);
    for (let k = 0; k < halves.length; k++) floats[k] = table[halves[k]];
    return floats;
  }
  let table = null;

  function valueOfHalf(half) {
    const [exponent, fraction] = [(half >> 10) & 31, half & 1023];
    const size =
      exponent === 0 ? fraction * 2 ** -24
      : exponent < 31 ? (1 + fraction / 1024) * 2 ** (exponent - 15)
      : fraction ? NaN : Infinity;
    return half & 0x8000 ? -size : size;
  }
});
