/* Dino: the denoiser of dino, live in a web page. Needs no server, and sends nothing anywhere.

     const model = await Dino.load(bytes);        // an ArrayBuffer: model.safetensors. Throws Dino.Problem: one sentence
     for await (const step of model.sample({seed: 1, words: "green stegosaurus"})) draw(step.denoised);
     const {denoised} = await model.denoise(noisy, 0.5);       // one prediction
     model.close();                               // ends its workers and frees its memory

   model.js documents `load`, `sample` and `denoise`; sampler.js the schedules; random.js the noise, which is PyTorch's.
   Images are Float32Arrays in the order (N, C, H, W), with values in [0, 1], as in the course.

   Each file is a part: a function that adds its names to `Dino`. The same parts run in the page and, made into a Blob,
   in the workers that run the network, so that everything works from file:// too. Names are those of dino's Python. */

self.Dino = (() => {
  "use strict";
  const parts = [];

  /* An error that the reader can do something about. Its message is one sentence. */
  class Problem extends Error {}

  /* Add a part, which must not use anything from outside but `Dino` and what browsers have. */
  function define(part) {
    parts.push(part);
    part(self.Dino);
  }

  /* Return the source of all parts, for a worker. */
  function source() {
    const core = `self.Dino = {Problem: ${Problem}, define(part) { part(self.Dino); }};`;
    return ["'use strict';", core, ...parts.map((part) => `self.Dino.define(${part});`)].join("\n");
  }

  /* Return the bytes that a text in base64 stands for. */
  function fromBase64(text) {
    const characters = atob(text);
    const bytes = new Uint8Array(characters.length);
    for (let k = 0; k < bytes.length; k++) bytes[k] = characters.charCodeAt(k);
    return bytes;
  }

  return { Problem, define, source, fromBase64 };
})();
