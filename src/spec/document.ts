// A study file as plain data together with the place of every key and value, so that every later room can point at
// what it complains about. Values set on the command line (--set) have their places there.

import type { SourcePosition } from "../diag/diagnostic.js";
import { fromDots, type Path, toPointer } from "./path.js";
import type { SourceText, TextRange } from "./source_text.js";

/** Where one value comes from; `key` is absent for list items and the root. */
export interface Place {
  readonly source: SourceText;
  readonly value: TextRange;
  readonly key?: TextRange;
}

export class SpecDocument {
  /** The file as the user named it. */
  readonly file: string;
  /** Plain objects, arrays, strings, finite numbers, booleans and null. */
  readonly value: unknown;
  readonly #places: ReadonlyMap<string, Place>;

  constructor(file: string, value: unknown, places: ReadonlyMap<string, Place>) {
    this.file = file;
    this.value = value;
    this.#places = places;
  }

  /** The value at a path, undefined if there is none. */
  at(path: Path): unknown {
    let value = this.value;
    for (const step of path) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
      value = (value as Record<string | number, unknown>)[step];
    }
    return value;
  }

  /**
   * The position of a value, or of its key; for a path that is not in the file (a default, a missing key) that of the
   * nearest enclosing one. A dotted text stands for the path of its parts.
   */
  locate(path: string | Path, what: "value" | "key" = "value"): SourcePosition | undefined {
    const steps = typeof path === "string" ? fromDots(path) : path;
    for (let length = steps.length; length >= 0; length--) {
      const place = this.#places.get(toPointer(steps.slice(0, length)));
      if (place === undefined) continue;
      // An enclosing mapping is named by its key, not by whatever it begins with.
      const wantsKey = what === "key" || length < steps.length;
      return place.source.positionOf(wantsKey ? (place.key ?? place.value) : place.value);
    }
    return undefined;
  }

  get places(): ReadonlyMap<string, Place> {
    return this.#places;
  }
}
