// Reads the corpus of a text task: names and globs resolved, files joined, each with its content hash. The only file of
// this room that touches the disk.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { expandGlob } from "./glob.js";

export interface CorpusFile {
  /** Path as found: relative names stay relative. */
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Corpus {
  /** Contents in order, one newline between two files. */
  readonly bytes: Uint8Array;
  readonly files: readonly CorpusFile[];
  /** Names left out because an earlier file has the same content. */
  readonly duplicates: readonly string[];
}

/** Larger corpora add nothing to a proxy run and would fill the memory of every worker. */
const maximumBytes = 1 << 30;

/**
 * @param patterns in the user's order; the matches of one pattern are sorted by name.
 * @param folder that relative patterns start from.
 * @throws LayermixError LMX7004 (exit 3): nothing matches, a file cannot be read, or more than 1 GiB in all.
 */
export async function readCorpus(patterns: readonly string[], folder: string): Promise<Corpus> {
  const files: CorpusFile[] = [];
  const parts: Uint8Array[] = [];
  const duplicates: string[] = [];
  let total = 0;
  for (const pattern of patterns) {
    const found = await expandGlob(pattern, folder);
    if (found.length === 0) throw unreadable(`Expected files at ${pattern}, found none`, folder);
    for (const { name, path } of found) {
      const content = await readFile(path).catch((cause: Error) => {
        throw unreadable(`Expected a readable file at ${name}, got ${cause.message}`, folder, cause);
      });
      const sha256 = createHash("sha256").update(content).digest("hex");
      if (files.some((file) => file.sha256 === sha256)) {
        if (!files.some((file) => file.name === name)) duplicates.push(name);
        continue;
      }
      total += content.length + 1;
      if (total > maximumBytes) {
        throw unreadable(`Expected at most 1 GiB of text, got more at ${name}`, folder);
      }
      files.push({ name, bytes: content.length, sha256 });
      parts.push(content);
    }
  }
  const bytes = new Uint8Array(Math.max(0, total - 1)).fill(0x0a);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length + 1;
  }
  return { bytes, files, duplicates };
}

function unreadable(message: string, folder: string, cause?: Error): LayermixError {
  const help = [`relative names start from ${folder}`];
  const options = cause === undefined ? undefined : { cause };
  return new LayermixError(
    { code: "LMX7004", severity: "error", message, help },
    exitCodes.invalidFile,
    options,
  );
}
