// The tokenizer that a trial's text came through, for the folder of its export: tokenizer.json with the bytes it was trained
// with, and tokenizer_config.json, which transformers needs to know the class. A file that has changed since would give
// the tokens another meaning; it is left out, and that is said.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { TrialFile } from "../study/trial.js";

export interface TrainedTokenizer {
  /** Content by file name; empty where there is nothing to take along. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Why there is none although the trial had one, or where it came from. */
  readonly note: string;
}

/** undefined for trials without a tokenizer.json: other tasks, bytes, token files. */
export function trainedTokenizer({ definition, source }: TrialFile): TrainedTokenizer | undefined {
  const identity = definition.task.identity as { readonly tokenizer?: unknown } | null;
  const name = source.options.tokenizer;
  if (typeof name !== "string" || typeof identity?.tokenizer !== "string") return undefined;
  if (identity.tokenizer === "bytes") return undefined;
  const path = resolve(source.folder, name);
  const left = (why: string) => ({ files: new Map(), note: `no tokenizer.json: ${name} ${why}` });
  if (!existsSync(path)) return left("is not there any more");
  const bytes = readFileSync(path);
  const hash = createHash("sha256").update(bytes.toString("utf8")).digest("hex");
  if (hash !== identity.tokenizer) return left("has changed since the training");
  const config = join(dirname(path), "tokenizer_config.json");
  const files = new Map<string, Uint8Array>([
    ["tokenizer.json", bytes],
    ["tokenizer_config.json", existsSync(config) ? readFileSync(config) : Buffer.from(plainConfig)],
  ]);
  return { files, note: `tokenizer.json is a copy of ${name}` };
}

/** The class that reads any tokenizer.json. */
const plainConfig = `${JSON.stringify({ tokenizer_class: "PreTrainedTokenizerFast" }, null, 2)}\n`;
