// JSON documents of a study folder: written pretty (people read them with cat), atomically, with a format number;
// read with a clear error when they are damaged or of a newer layermix.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { readTextIfPresent, writeFileAtomic } from "./atomic_file.js";

/** Format of every JSON document of a study folder. */
export const studyFormat = 1;

/** The bytes of a document; the same value gives the same bytes. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

export function writeJson(path: string, value: unknown): void {
  writeFileAtomic(path, jsonText(value));
}

/** The document at `path`, or undefined when there is none. Throws LMX4005 (newer format), LMX4006 (damaged). */
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
  return value as T;
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(path, (error as Error).message);
  }
}

function damaged(path: string, reason: string): LayermixError {
  return new LayermixError(
    {
      code: "LMX4006",
      severity: "error",
      message: `Expected a JSON document in ${path}, got: ${reason}`,
      help: [
        "layermix writes this file whole or not at all, so it was changed from outside: restore it, or remove it and run the study again.",
      ],
    },
    exitCodes.storage,
  );
}
