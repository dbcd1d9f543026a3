// The bytes of a text file in order, decompressed where its name ends with .gz or .zst: nothing is ever in memory as a
// whole.

import { Readable, type Transform } from "node:stream";
import * as zlib from "node:zlib";
import { LayermixError } from "../diag/diagnostic.js";
import { corpusError } from "./corpus_error.js";
import type { WindowFile } from "./window_file.js";

/** Zstandard came to Node.js with 22.15. */
const { createZstdDecompress } = zlib as { readonly createZstdDecompress?: () => Transform };

/** A name without the ending that says how the file is compressed. */
export function uncompressedName(name: string): string {
  return name.replace(/\.(gz|zst)$/, "");
}

/** Chunks are valid until the next one. Throws LMX7029 (damaged, or no way to decompress), LMX7004. */
export async function* fileChunks(file: WindowFile): AsyncGenerator<Uint8Array> {
  const compressed = /\.(gz|zst)$/.exec(file.path)?.[1];
  if (compressed === undefined) {
    yield* file.windows();
    return;
  }
  const stream: Transform | undefined = compressed === "gz" ? zlib.createGunzip() : createZstdDecompress?.();
  if (stream === undefined) {
    const message = `Expected a way to decompress ${file.name}, got none for zstd in Node.js ${process.versions.node}`;
    throw corpusError("LMX7029", message, ["use Node.js 22.15 or newer, or decompress the file"]);
  }
  // A window's buffer is used again, and the stream keeps what it is given: copies.
  const windows = (function* () {
    for (const window of file.windows()) yield window.slice();
  })();
  const source = Readable.from(windows);
  source.on("error", (error) => stream.destroy(error));
  try {
    for await (const chunk of source.pipe(stream)) yield chunk as Buffer;
  } catch (cause) {
    if (cause instanceof LayermixError) throw cause; // the file itself could not be read
    const message = `Expected ${compressed === "gz" ? "gzip" : "zstd"} data in ${file.name}, got: ${(cause as Error).message}`;
    throw corpusError("LMX7029", message, ["the file is cut off or damaged; copy it again"], { cause });
  }
}
