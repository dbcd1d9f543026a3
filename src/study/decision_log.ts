// The decisions of a search, in the order they were taken: search-KEY/0001.json, 0002.json ... Each is created
// exclusively and with its content, so of any number of processes that decide at once exactly one is heard, and everybody
// follows the same sequence. KEY is a hash of what decisions depend on: after an edit that changes them a new sequence
// begins, and the trials that are still wanted are kept.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createFileExclusive } from "./atomic_file.js";
import { jsonText, readJson, studyFormat } from "./json_file.js";
import { onDisk } from "./storage_error.js";
import { studyLayout } from "./study_layout.js";

const digits = 4;

export class DecisionLog<Decision extends object> {
  readonly #folder: string;
  readonly #decisions: Decision[] = [];

  /** @param key see above; letters and digits. */
  constructor(studyFolder: string, key: string) {
    this.#folder = studyLayout.search(studyFolder, key);
  }

  /** All decisions, those of other processes included. */
  read(): readonly Decision[] {
    for (;;) {
      const next = readJson<{ readonly decision: Decision }>(this.#path(this.#decisions.length + 1));
      if (next === undefined) return this.#decisions;
      this.#decisions.push(next.decision);
    }
  }

  /** Adds a decision to those read so far. False when another process has decided meanwhile: read again. */
  append(decision: Decision): boolean {
    onDisk("write", this.#folder, () => mkdirSync(this.#folder, { recursive: true }));
    const path = this.#path(this.#decisions.length + 1);
    return createFileExclusive(path, jsonText({ format: studyFormat, decision }));
  }

  #path(number: number): string {
    return join(this.#folder, `${String(number).padStart(digits, "0")}.json`);
  }
}
