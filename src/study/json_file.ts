// JSON documents of a study folder: written pretty (people read them with cat), atomically, with a format number and a
// checksum; read with a clear error when they are damaged or of a newer layermix. A digit that a disk has changed is still
// JSON, and would go into a ranking unseen: the checksum tells.

import { createHash } from "node:crypto";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { readTextIfPresent, writeFileAtomic } from "./atomic_file.js";

/** Format of every JSON document of a study folder. */
export const studyFormat = 1;

/** The bytes of a document, its checksum last; the same value gives the same bytes. */
export function jsonText(value: object): string {
  return pretty({ ...value, checksum: checksumOf(value) });
}

export function writeJson(path: string, value: object): void {
  writeFileAtomic(path, jsonText(value));
}

/**
 * The document at `path`, without its checksum, or undefined when there is none. Throws LMX4005 (newer format), LMX4006
 * (damaged).
 */
export function readJson<T extends object>(path: string): T | undefined {
  const text = readTextIfPresent(path);
  if (text === undefined) return undefined;
  const value = parse(path, text);
  if (value === null || typeof value !== "object") throw damaged(path, "something that is not a JSON object");
  const format = (value as { readonly format?: unknown }).format;
  if (typeof format === "number" && format > studyFormat) {
    throw new LayermixError(
      {
        code: "LMX4005",
        severity: "error",
        message: `Expected ${path} in format ${studyFormat} or older, got format ${format}`,
        help: ["The folder was written by a newer layermix: update, or start another folder with --out."],
      },
      exitCodes.storage,
    );
  }
  const { checksum, ...content } = value as { readonly checksum?: unknown };
  if (checksum !== checksumOf(content)) {
    throw damaged(path, checksum === undefined ? "no checksum" : "contents that do not have its checksum");
  }
  return content as T;
}

function pretty(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** SHA-256 of the document as it would be written without a checksum, lower-case hex. */
function checksumOf(value: object): string {
  return createHash("sha256").update(pretty(value), "utf8").digest("hex");
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(path, `no JSON: ${(error as Error).message}`);
  }
}

/** LMX4006, for a file of a study folder that does not hold what was written. */
export function damaged(path: string, reason: string, remedy = "remove it"): LayermixError {
  return new LayermixError(
    {
      code: "LMX4006",
      severity: "error",
      message: `Expected ${path} as it was written, got ${reason}`,
      help: [
        `layermix writes this file whole or not at all, so it was changed from outside: restore it, or ${remedy} and run the study again.`,
      ],
    },
    exitCodes.storage,
  );
}
