/** Random numbers that depend on a seed alone: xoshiro128** (Blackman and Vigna 2018), normals by Box and Muller. */

export class Random {
  /** seed: a whole number; splitmix32 makes the 128 bits of state from it. */
  constructor(seed) {
    let counter = seed >>> 0;
    this.state = Uint32Array.from({ length: 4 }, () => {
      counter = (counter + 0x9e3779b9) >>> 0;
      let z = Math.imul(counter ^ (counter >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    });
    this.spare = null;
  }

  /** The next 32 bits, as a whole number. */
  bits() {
    const s = this.state;
    const scrambled = Math.imul(s[1], 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** Uniform from 0 up to, but never, 1. */
  uniform() {
    return this.bits() / 2 ** 32;
  }

  /** Standard normal; each second one is the other half of a pair. */
  normal() {
    if (this.spare !== null) {
      const value = this.spare;
      this.spare = null;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}
