// Files that a command writes where the user said: folders on the way are made, a full or read-only disk is one sentence.

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { writeFileAtomic } from "../study/atomic_file.js";
import { onDisk } from "../study/storage_error.js";

/** Writes `file` whole or not at all. Throws LMX4001..4003. */
export function writeOutput(file: string, bytes: string | Uint8Array): void {
  const folder = dirname(file);
  onDisk("write", folder, () => mkdirSync(folder, { recursive: true }));
  writeFileAtomic(file, bytes);
}
