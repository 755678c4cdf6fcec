/* PyTorch's random numbers, so that a seed gives the same noise as `torch.manual_seed` does on the CPU.

   `dino sample --seed 7` and `model.sample({seed: 7})` begin with the same noise, and so draw the same images. */

Dino.define(function random(Dino) {
  "use strict";
  const LENGTH = 624;

  /* The Mersenne Twister MT19937 (Matsumoto and Nishimura 1998), as torch.Generator has it on the CPU. */
  Dino.Random = class Random {
    /* seed: a whole number, of which the lowest 32 bits count. */
    constructor(seed) {
      this.state = new Uint32Array(LENGTH);
      this.state[0] = Number(BigInt.asUintN(32, BigInt(seed)));
      for (let k = 1; k < LENGTH; k++) {
        const last = this.state[k - 1];
        this.state[k] = Math.imul(1812433253, last ^ (last >>> 30)) + k;
      }
      this.position = LENGTH;
    }

    /* Return the next whole number of 32 bits. */
    next() {
      if (this.position === LENGTH) this.twist();
      let y = this.state[this.position++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    }

    twist() {
      const { state } = this;
      for (let k = 0; k < LENGTH; k++) {
        const y = (state[k] & 0x80000000) | (state[(k + 1) % LENGTH] & 0x7fffffff);
        state[k] = state[(k + 397) % LENGTH] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.position = 0;
    }

    /* Return n numbers, uniform in [0, 1): `torch.rand`. */
    rand(n) {
      return Float32Array.from({ length: n }, () => (this.next() & 0xffffff) / 2 ** 24);
    }

    /* Return n whole numbers from 0 to high - 1: `torch.randint`. */
    randint(high, n) {
      return Array.from({ length: n }, () => this.next() % high);
    }
  };

  /* Return a generator that depends on a seed and a name alone: `dino.images.seeded("cpu", seed, name)`. */
  Dino.seeded = function seeded(seed, name) {
    return new Dino.Random(new DataView(sha256(`(${seed}, '${name}')`).buffer).getUint32(0, true));
  };

  /* Return the SHA-256 of a text (FIPS 180-4). Browsers have one of their own, but not in pages without https. */
  function sha256(text) {
    const bytes = new TextEncoder().encode(text);
    const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
    padded.set(bytes);
    padded[bytes.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 4, 8 * bytes.length);
    const primes = Array.from({ length: 400 }, (_, k) => k + 2).filter(isPrime).slice(0, 64);
    const fraction = (x) => Math.floor((x % 1) * 2 ** 32) | 0;
    const constants = primes.map((prime) => fraction(Math.cbrt(prime)));
    const sums = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
    const turn = (x, by) => (x >>> by) | (x << (32 - by));
    for (let start = 0; start < padded.length; start += 64) {
      const w = Array.from({ length: 16 }, (_, k) => view.getInt32(start + 4 * k));
      for (let k = 16; k < 64; k++) {
        const [a, b] = [w[k - 15], w[k - 2]];
        const [mixed, other] = [turn(a, 7) ^ turn(a, 18) ^ (a >>> 3), turn(b, 17) ^ turn(b, 19) ^ (b >>> 10)];
        w[k] = (w[k - 16] + mixed + w[k - 7] + other) | 0;
      }
      let [a, b, c, d, e, f, g, h] = sums;
      for (let k = 0; k < 64; k++) {
        const choice = (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g));
        const first = (h + choice + constants[k] + w[k]) | 0;
        const second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
      }
      [a, b, c, d, e, f, g, h].forEach((value, k) => (sums[k] = (sums[k] + value) | 0));
    }
    const digest = new DataView(new ArrayBuffer(32));
    sums.forEach((sum, k) => digest.setInt32(4 * k, sum));
    return new Uint8Array(digest.buffer);
  }
  Dino.sha256 = sha256;

  function isPrime(n) {
    for (let k = 2; k * k <= n; k++) if (n % k === 0) return false;
    return true;
  }
});
