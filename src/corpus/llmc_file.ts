// Token files of llm.c and nanoGPT. llm.c: 256 i32 of header [magic, version, tokens, 0 ...], then the tokens; gpt-2
// writes magic 20240520, version 1, u16; llama-3 magic 20240801, version 7, u32. nanoGPT: u16 tokens and nothing else,
// which no look at the file can tell from other bytes - so the study file has to say so (`format: nanogpt`).

import { corpusError } from "./corpus_error.js";
import { FileTokens, type TokenStore, type TokenType, tokenBytes } from "./token_store.js";
import type { WindowFile } from "./window_file.js";

const headerBytes = 1024;
const kinds: Readonly<Record<number, { readonly version: number; readonly type: TokenType }>> = {
  20240520: { version: 1, type: "uint16" },
  20240801: { version: 7, type: "uint32" },
};
/** Other files that llm.c writes: named, so that the message can say what was given. */
const otherMagics: Readonly<Record<number, string>> = {
  20240326: "a model checkpoint",
  20240327: "a debug state",
  20240328: "a tokenizer",
  20240522: "an evaluation set",
};

/** The first number of a file, or undefined where it is too short to have a header. */
function magicOf(file: WindowFile): number | undefined {
  if (file.byteLength < headerBytes) return undefined;
  const word = new Int32Array(1);
  file.read(0, new Uint8Array(word.buffer));
  return word[0];
}

/** Whether the file begins as one of llm.c's. */
export function looksLikeLlmc(file: WindowFile): boolean {
  const magic = magicOf(file);
  return magic !== undefined && (magic in kinds || magic in otherMagics);
}

/** Throws LMX7021 when header and size do not belong together. */
export function openLlmc(file: WindowFile): TokenStore {
  const magic = magicOf(file);
  const kind = magic === undefined ? undefined : kinds[magic];
  if (kind === undefined) {
    const got =
      magic === undefined
        ? `a file of ${file.byteLength} bytes`
        : otherMagics[magic] === undefined
          ? `magic ${magic} at byte 0`
          : `${otherMagics[magic]} (magic ${magic})`;
    throw corpusError(
      "LMX7021",
      `Expected a token file of llm.c (magic 20240520 or 20240801) at ${file.name}, got ${got}`,
    );
  }
  const header = new Int32Array(3);
  file.read(0, new Uint8Array(header.buffer));
  const [, version, tokens] = header as unknown as [number, number, number];
  if (version !== kind.version) {
    throw corpusError(
      "LMX7021",
      `Expected version ${kind.version} at byte 4 of ${file.name}, got ${version}`,
    );
  }
  const bytes = headerBytes + tokens * tokenBytes(kind.type);
  if (tokens < 0 || bytes !== file.byteLength) {
    throw corpusError(
      "LMX7021",
      `Expected ${bytes} bytes for the ${tokens} tokens that byte 8 of ${file.name} announces, got ${file.byteLength} bytes`,
      ["the file is cut off, or its header is damaged; copy it again"],
    );
  }
  return new FileTokens(file, kind.type, headerBytes, tokens);
}

/** Throws LMX7021 when the size is no whole number of u16 tokens. */
export function openNanoGpt(file: WindowFile): TokenStore {
  if (file.byteLength % 2 !== 0) {
    const message = `Expected an even number of bytes (u16 tokens) in ${file.name}, got ${file.byteLength}`;
    throw corpusError("LMX7021", message, ["the file is cut off, or not one of nanoGPT's"]);
  }
  return new FileTokens(file, "uint16", 0, file.byteLength / 2);
}
