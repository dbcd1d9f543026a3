// numpy's legacy RandomState, as far as Megatron's data order needs it: MT19937 seeded by an integer, and shuffle, which
// draws the partner of element i from [0, i] with a bit mask and rejection. Matsumoto and Nishimura, "Mersenne
// Twister", ACM TOMACS 8 (1998); NEP 19 freezes this stream.

const stateWords = 624;
const middleWord = 397;

export class NumpyRandomState {
  readonly #state = new Uint32Array(stateWords);
  #next = stateWords;

  /** @param seed of 32 bits. */
  constructor(seed: number) {
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < stateWords; i++) {
      const previous = state[i - 1]! ^ (state[i - 1]! >>> 30);
      state[i] = Math.imul(previous, 1_812_433_253) + i;
    }
  }

  /** A uniform 32-bit integer. */
  word(): number {
    if (this.#next === stateWords) this.#twist();
    let y = this.#state[this.#next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** Shuffles in place, as RandomState.shuffle does a one-dimensional array of up to 2^32 elements. */
  shuffle(values: Int32Array | Uint32Array): void {
    for (let i = values.length - 1; i > 0; i--) {
      const mask = 0xffffffff >>> Math.clz32(i);
      let j = this.word() & mask;
      while (j >>> 0 > i) j = this.word() & mask;
      const other = values[i]!;
      values[i] = values[j]!;
      values[j] = other;
    }
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < stateWords; i++) {
      const joined = (state[i]! & 0x80000000) | (state[(i + 1) % stateWords]! & 0x7fffffff);
      const twisted = (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
      state[i] = state[(i + middleWord) % stateWords]! ^ twisted;
    }
    this.#next = 0;
  }
}
