/* Writing GIFs, each frame with its own 256 colors. */

Dino.define(function gif(Dino) {
  "use strict";

  /* Return an animation that repeats forever, as bytes.

     frames: of {pixels, delay}, with pixels as RGBA (size * size * 4 bytes) and the delay in hundredths of a second.
     Each pixel becomes scale x scale pixels. */
  Dino.gif = function gif(frames, size, scale = 1) {
    const side = size * scale;
    const out = [...text("GIF89a"), ...word(side), ...word(side), 0x70, 0, 0];
    out.push(0x21, 0xff, 11, ...text("NETSCAPE2.0"), 3, 1, 0, 0, 0);
    for (const { pixels, delay } of frames) {
      const { palette, indices } = inFewColors(pixels);
      out.push(0x21, 0xf9, 4, 0, ...word(delay), 0, 0);
      out.push(0x2c, 0, 0, 0, 0, ...word(side), ...word(side), 0x87, ...palette, 8);
      const enlarged = new Uint8Array(side * side);
      for (let at = 0; at < enlarged.length; at++)
        enlarged[at] = indices[Math.floor(Math.floor(at / side) / scale) * size + Math.floor((at % side) / scale)];
      const packed = lzw(enlarged);
      for (let start = 0; start < packed.length; start += 255) {
        const block = packed.slice(start, start + 255);
        out.push(block.length, ...block);
      }
      out.push(0);
    }
    out.push(0x3b);
    return Uint8Array.from(out);
  };

  const text = (ascii) => [...ascii].map((character) => character.charCodeAt(0));
  const word = (number) => [number & 255, number >> 8];

  /* Return a palette of 256 colors (768 numbers) and the number of the nearest one for each pixel: median cut. */
  function inFewColors(pixels) {
    let boxes = [Array.from({ length: pixels.length / 4 }, (_, k) => k)];
    const width = (box, channel) => {
      let [least, most] = [255, 0];
      for (const k of box) [least, most] = [Math.min(least, pixels[4 * k + channel]), Math.max(most, pixels[4 * k + channel])];
      return most - least;
    };
    const measured = (box) => {
      const widths = [0, 1, 2].map((channel) => width(box, channel));
      return { box, channel: widths.indexOf(Math.max(...widths)), width: Math.max(...widths) };
    };
    let open = boxes.map(measured);
    while (open.length < 256) {
      const widest = open.reduce((a, b) => (b.width > a.width ? b : a));
      if (widest.width === 0) break;
      widest.box.sort((a, b) => pixels[4 * a + widest.channel] - pixels[4 * b + widest.channel]);
      let cut = widest.box.length >> 1;
      const at = (k) => pixels[4 * widest.box[k] + widest.channel];
      while (cut > 1 && at(cut) === at(cut - 1)) cut--; // equal colors stay together
      while (at(cut) === at(cut - 1)) cut++;
      const halves = [widest.box.slice(0, cut), widest.box.slice(cut)].map(measured);
      open = [...open.filter((other) => other !== widest), ...halves];
    }
    const palette = new Uint8Array(768);
    const indices = new Uint8Array(pixels.length / 4);
    open.forEach(({ box }, index) => {
      for (const channel of [0, 1, 2])
        palette[3 * index + channel] = Math.round(box.reduce((sum, k) => sum + pixels[4 * k + channel], 0) / box.length);
      for (const k of box) indices[k] = index;
    });
    return { palette, indices };
  }

  /* Return numbers below 256, compressed as GIF has it (Lempel, Ziv and Welch 1984). */
  function lzw(numbers) {
    const [clear, end] = [256, 257];
    const bytes = [];
    let [bits, nBits, width, next, table] = [0, 0, 9, end + 1, new Map()];
    const write = (code) => {
      bits |= code << nBits;
      for (nBits += width; nBits >= 8; nBits -= 8, bits >>>= 8) bytes.push(bits & 255);
    };
    write(clear);
    let current = numbers[0];
    for (const number of numbers.subarray(1)) {
      const key = current * 256 + number;
      if (table.has(key)) {
        current = table.get(key);
        continue;
      }
      write(current);
      if (next === 4096) {
        write(clear);
        [width, next, table] = [9, end + 1, new Map()];
      } else {
        if (next === 2 ** width) width++;
        table.set(key, next++);
      }
      current = number;
    }
    write(current);
    write(end);
    if (nBits) bytes.push(bits & 255);
    return bytes;
  }
});
