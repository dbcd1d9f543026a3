// A file that is read by position, a window at a time (pread): a corpus of any size costs the memory of one window. The
// descriptor is closed when the object is collected or the process ends.

import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { systemReason } from "../diag/system_reason.js";
import { corpusError } from "./corpus_error.js";

const descriptors = new FinalizationRegistry<number>((descriptor) => closeSync(descriptor));

export class WindowFile {
  /** As the user named it. */
  readonly name: string;
  readonly path: string;
  readonly byteLength: number;
  readonly stats: Stats;
  readonly #descriptor: number;

  /** Throws LMX7004 when the file cannot be opened or is a folder. */
  constructor(path: string, name: string = path) {
    this.path = path;
    this.name = name;
    this.#descriptor = this.#attempt(() => openSync(path, "r"));
    descriptors.register(this, this.#descriptor);
    this.stats = this.#attempt(() => fstatSync(this.#descriptor));
    if (this.stats.isDirectory()) throw this.#unreadable("it is a folder");
    this.byteLength = this.stats.size;
  }

  /** Fills `bytes` from `position` on. Throws LMX7004 when the file ends before, or cannot be read. */
  read(position: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.byteLength; ) {
      const want = Math.min(bytes.byteLength - done, 1 << 30); // one read(2) moves less than 2 GiB
      const got = this.#attempt(() => readSync(this.#descriptor, bytes, done, want, position + done));
      if (got === 0)
        throw this.#unreadable(`the end at byte ${position + done}: it became shorter while in use`);
      done += got;
    }
  }

  /** The whole file in windows, in order. The window is valid until the next one. */
  *windows(windowBytes = 1 << 20): Generator<Uint8Array> {
    const buffer = new Uint8Array(Math.min(windowBytes, Math.max(1, this.byteLength)));
    for (let position = 0; position < this.byteLength; position += buffer.byteLength) {
      const window = buffer.subarray(0, Math.min(buffer.byteLength, this.byteLength - position));
      this.read(position, window);
      yield window;
    }
  }

  #attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw this.#unreadable(systemReason(error), error);
    }
  }

  #unreadable(reason: string, cause?: unknown): Error {
    return corpusError("LMX7004", `Expected a readable file at ${this.name}, got: ${reason}`, [], { cause });
  }
}
