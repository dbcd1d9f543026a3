// Text encoded once: the tokens go to a file of the cache, named by everything that decides them (content of the file,
// format, field, tokenizer), and are read from there a window at a time ever after.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, cacheKey, writeCacheFile } from "./cache_folder.js";
import { FileTokens, type TokenStore, type TokenType, tokenBytes, tokenTypes } from "./token_store.js";
import type { Tokenizer } from "./tokenizer.js";
import { WindowFile } from "./window_file.js";

/** Raised when the same inputs would give other tokens. */
const cacheVersion = 1;
const bufferedTokens = 1 << 18;

/** One file to be encoded. */
export interface EncodeRequest {
  readonly sha256: string;
  readonly format: string;
  readonly field: string;
  readonly tokenizer: Tokenizer;
  /** Tokens put behind every document. */
  readonly documentEnd: readonly number[];
  /** Pieces of text in order; `end` after those that end a document. */
  readonly pieces: () => AsyncIterable<{ readonly text: string; readonly end: boolean }>;
}

/** The tokens of a file, from the cache or encoded now. Throws LMX7025 (cache), and what reading the file throws. */
export async function encodedTokens(request: EncodeRequest): Promise<TokenStore> {
  const { sha256, format, field, tokenizer, documentEnd } = request;
  const key = cacheKey("tokens", cacheVersion, sha256, format, field, tokenizer.identity, documentEnd);
  const path = join(cacheFolder(), "tokens", `${key}.bin`);
  const type: TokenType = tokenizer.vocab <= 256 ? "uint8" : tokenizer.vocab <= 65_536 ? "uint16" : "uint32";
  const known = openKnown(path, type);
  if (known !== undefined) return known;
  let count = 0;
  await writeCacheFile(path, async (put) => {
    const buffer = new tokenTypes[type](bufferedTokens) as Uint8Array | Uint16Array | Uint32Array;
    let used = 0;
    const flush = () => {
      put(new Uint8Array(buffer.buffer, 0, used * tokenBytes(type)));
      count += used;
      used = 0;
    };
    const append = (tokens: Iterable<number>) => {
      for (const token of tokens) {
        buffer[used++] = token;
        if (used === buffer.length) flush();
      }
    };
    for await (const { text, end } of request.pieces()) {
      append(tokenizer.encode(text));
      if (end) append(documentEnd);
    }
    flush();
  });
  // Its length is confirmed by a second file, so that tokens of a cache that lost its end are not taken for all.
  await writeCacheFile(`${path}.json`, async (put) => put(Buffer.from(JSON.stringify({ count }))));
  return new FileTokens(new WindowFile(path), type, 0, count);
}

function openKnown(path: string, type: TokenType): TokenStore | undefined {
  if (!existsSync(path) || !existsSync(`${path}.json`)) return undefined;
  try {
    const { count } = JSON.parse(readFileSync(`${path}.json`, "utf8")) as { readonly count: number };
    const file = new WindowFile(path);
    return file.byteLength === count * tokenBytes(type) ? new FileTokens(file, type, 0, count) : undefined;
  } catch {
    return undefined;
  }
}
