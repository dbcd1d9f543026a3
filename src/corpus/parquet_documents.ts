// Parquet: the documents are a column of texts, read one row group at a time. The format itself is hyparquet's.

import * as zlib from "node:zlib";
import type { AsyncBuffer, Compressors, FileMetaData } from "hyparquet";
import { corpusError } from "./corpus_error.js";
import type { WindowFile } from "./window_file.js";

/** Snappy and plain pages are hyparquet's own; zstd needs a Node.js that has it (22.15). */
const { zstdDecompressSync } = zlib as { readonly zstdDecompressSync?: (input: Uint8Array) => Uint8Array };
const compressors: Compressors = {
  GZIP: (input) => zlib.gunzipSync(input),
  BROTLI: (input) => zlib.brotliDecompressSync(input),
  ...(zstdDecompressSync !== undefined && { ZSTD: zstdDecompressSync }),
};

/** The documents in order. Throws LMX7026 (file, column or value), LMX7004. */
export async function* parquetDocuments(file: WindowFile, field: string): AsyncGenerator<string> {
  const { parquetMetadataAsync, parquetReadObjects } = await import("hyparquet"); // most commands read no parquet
  const buffer = asyncBuffer(file);
  const metadata = await attempt(file, "its end", () => parquetMetadataAsync(buffer));
  checkColumn(file, metadata, field);
  let rowStart = 0;
  for (const [index, group] of metadata.row_groups.entries()) {
    const rowEnd = rowStart + Number(group.num_rows);
    const rows = await attempt(file, `row group ${index}`, () =>
      parquetReadObjects({ file: buffer, metadata, columns: [field], rowStart, rowEnd, compressors }),
    );
    for (const [row, value] of rows.entries()) {
      const text: unknown = value[field];
      if (text === null || text === undefined) continue;
      if (typeof text !== "string") {
        throw damaged(
          file,
          `Expected a text in column ${field}, got ${typeof text} in row ${rowStart + row}`,
        );
      }
      yield text;
    }
    rowStart = rowEnd;
  }
}

function checkColumn(file: WindowFile, metadata: FileMetaData, field: string): void {
  const names = metadata.schema.slice(1).map(({ name }) => name);
  const column = metadata.schema.find(({ name }) => name === field);
  if (column !== undefined && column.type === "BYTE_ARRAY") return;
  const got =
    column === undefined ? `the columns ${names.slice(0, 12).join(", ")}` : `one of type ${column.type}`;
  throw damaged(file, `Expected a column of texts named ${field}, got ${got}`);
}

function asyncBuffer(file: WindowFile): AsyncBuffer {
  return {
    byteLength: file.byteLength,
    slice: async (start, end = file.byteLength) => {
      const from = start < 0 ? file.byteLength + start : start;
      if (from < 0 || end < from || end > file.byteLength) {
        throw new RangeError(`bytes ${from} to ${end} of a file of ${file.byteLength}`);
      }
      const bytes = new Uint8Array(end - from);
      file.read(from, bytes);
      return bytes.buffer;
    },
  };
}

async function attempt<T>(file: WindowFile, place: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    const reason = (cause as Error).message;
    const help = /compression/i.test(reason)
      ? ["layermix reads pages that are plain, snappy, gzip, brotli, and zstd with Node.js 22.15 or newer"]
      : ["the file is cut off or damaged, or no parquet file"];
    throw corpusError(
      "LMX7026",
      `Expected a parquet file at ${file.name}, got in ${place}: ${reason}`,
      help,
      { cause },
    );
  }
}

function damaged(file: WindowFile, message: string): Error {
  return corpusError("LMX7026", `${message}, in ${file.name}`, ["`field` names the column of the text"]);
}
