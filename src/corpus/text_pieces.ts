// Plain text as pieces that a tokenizer can take: a file of any size is never in memory as a whole. A piece ends after
// a newline that is followed by no white space, where the usual pre-tokenizers (GPT-2, Llama-3) cut as well, so that
// the tokens are those of the whole text.

import { corpusError } from "./corpus_error.js";
import type { WindowFile } from "./window_file.js";

const leastBytes = 16 << 10;
const mostBytes = 1 << 20;
const newline = 0x0a;

/** The text of a UTF-8 file in order. Throws LMX7022 with the place where it is not UTF-8, LMX7004. */
export function* textPieces(file: WindowFile): Generator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let rest = Buffer.alloc(0);
  let position = 0;
  const decode = (bytes: Uint8Array): string => {
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw corpusError(
        "LMX7022",
        `Expected UTF-8 in ${file.name}, got other bytes at or after byte ${position}`,
        ["convert the file, or train on it with tokenizer: bytes"],
        { cause },
      );
    }
  };
  for (const window of file.windows()) {
    rest = Buffer.concat([rest, window]);
    for (let cut = cutOf(rest); cut !== undefined; cut = cutOf(rest)) {
      yield decode(rest.subarray(0, cut));
      position += cut;
      rest = rest.subarray(cut);
    }
  }
  if (rest.length > 0) yield decode(rest);
}

/** Where the first piece of `bytes` ends; undefined while that cannot be told. */
function cutOf(bytes: Buffer): number | undefined {
  for (let at = leastBytes; at + 1 < bytes.length && at < mostBytes; at++) {
    if (bytes[at] === newline && !isSpace(bytes[at + 1]!)) return at + 1;
  }
  if (bytes.length <= mostBytes) return undefined;
  // A megabyte without such a newline: cut before the beginning of a character.
  let at = mostBytes;
  while (at > 0 && (bytes[at]! & 0xc0) === 0x80) at -= 1;
  return at;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
