// Tokens that lie in files: how many there are, and any window of them. Reading is by position, so nothing but the
// window is ever in memory. Stores of several files join into one, with separator tokens between them.

import { corpusError } from "./corpus_error.js";
import type { WindowFile } from "./window_file.js";

/** A corpus as one row of tokens. */
export interface TokenStore {
  readonly count: number;
  /** Writes tokens [start, start + length) to out[offset..). The range lies inside the store. */
  read(start: number, length: number, out: Int32Array, offset: number): void;
}

/** Element types of token files, by numpy's names. */
export const tokenTypes = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
} as const;
export type TokenType = keyof typeof tokenTypes;

export function tokenBytes(type: TokenType): number {
  return tokenTypes[type].BYTES_PER_ELEMENT;
}

/** `count` tokens of one type from byte `byteOffset` of a file on. */
export class FileTokens implements TokenStore {
  readonly count: number;
  readonly #file: WindowFile;
  readonly #type: TokenType;
  readonly #byteOffset: number;
  #bytes = new Uint8Array(0);

  constructor(file: WindowFile, type: TokenType, byteOffset: number, count: number) {
    this.#file = file;
    this.#type = type;
    this.#byteOffset = byteOffset;
    this.count = count;
  }

  read(start: number, length: number, out: Int32Array, offset: number): void {
    if (length === 0) return;
    const width = tokenBytes(this.#type);
    if (this.#bytes.byteLength < length * width) this.#bytes = new Uint8Array(length * width);
    this.#file.read(this.#byteOffset + start * width, this.#bytes.subarray(0, length * width));
    const values = new tokenTypes[this.#type](this.#bytes.buffer, 0, length);
    for (let i = 0; i < length; i++) {
      const token = Number(values[i]);
      if (token < 0 || token > 0x7fffffff) throw this.#noToken(start + i, token);
      out[offset + i] = token;
    }
  }

  #noToken(index: number, token: number): Error {
    const place = this.#byteOffset + index * tokenBytes(this.#type);
    const message = `Expected token ids of 0 to 2147483647 in ${this.#file.name}, got ${token} at byte ${place}`;
    return corpusError("LMX7022", message, ["the file is damaged, or of another element type"]);
  }
}

/** Stores one after the other, `separator` between two. */
export class JoinedTokens implements TokenStore {
  readonly count: number;
  readonly #parts: readonly TokenStore[];
  readonly #separator: Int32Array;
  /** Where part i begins; the separator follows the part. */
  readonly #starts: readonly number[];

  constructor(parts: readonly TokenStore[], separator: readonly number[] = []) {
    this.#parts = parts;
    this.#separator = Int32Array.from(separator);
    const starts = [0];
    for (const part of parts) starts.push(starts.at(-1)! + part.count + separator.length);
    this.#starts = starts;
    this.count = Math.max(0, starts.at(-1)! - separator.length);
  }

  read(start: number, length: number, out: Int32Array, offset: number): void {
    let index = this.#partAt(start);
    for (let done = 0; done < length; index++) {
      const part = this.#parts[index]!;
      let within = start + done - this.#starts[index]!;
      const own = Math.max(0, Math.min(length - done, part.count - within));
      if (own > 0) part.read(within, own, out, offset + done);
      done += own;
      within = Math.max(0, within - part.count);
      for (let i = within; i < this.#separator.length && done < length; i++) {
        out[offset + done++] = this.#separator[i]!;
      }
    }
  }

  #partAt(position: number): number {
    let low = 0;
    let high = this.#parts.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (position < this.#starts[middle + 1]!) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The largest token of a store, read through once in windows; -1 when it is empty. */
export function largestToken(store: TokenStore, windowTokens = 1 << 18): number {
  const window = new Int32Array(Math.min(windowTokens, Math.max(1, store.count)));
  let largest = -1;
  for (let start = 0; start < store.count; start += window.length) {
    const length = Math.min(window.length, store.count - start);
    store.read(start, length, window, 0);
    for (let i = 0; i < length; i++) if (window[i]! > largest) largest = window[i]!;
  }
  return largest;
}
