// The safetensors header, checked field by field. A file is: u64 little-endian header length n, n bytes of
// JSON {name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__": {string: string}}, then the data,
// offsets counting from its first byte. Accepted here: what the format's reference reader accepts - header at
// most 100 MB and beginning with '{', no duplicate keys, sizes that match dtype and shape, tensors that cover
// the data without holes or overlaps. Format: https://huggingface.co/docs/safetensors

import { type DiagnosticCode, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { type Json, JsonSyntaxError, parseStrictJson } from "./strict_json.js";

/** Bytes of one element, by the dtypes layermix reads and writes. */
export const dtypeBytes = { F64: 8, F32: 4, BF16: 2, F16: 2, I64: 8, I32: 4, U8: 1, BOOL: 1 } as const;
export type SafetensorsDtype = keyof typeof dtypeBytes;

/** Where one tensor lies: `byteOffset` counts from the start of the file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In file order. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** Bytes in front of the header: its length. */
export const prefixBytes = 8;
export const maxHeaderBytes = 100_000_000;

/**
 * Reads the 8-byte prefix. Throws LMX5001 when the length cannot be that of a header in a file of
 * `fileBytes`.
 */
export function parseHeaderLength(prefix: Uint8Array, fileBytes: number, file: string): number {
  if (prefix.byteLength < prefixBytes) {
    throw malformed(
      "LMX5001",
      file,
      `Expected an 8-byte header length at byte 0, got ${prefix.byteLength} bytes`,
    );
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, prefixBytes).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    throw malformed("LMX5001", file, `Expected a header of at most 100 MB at byte 0, got ${length} bytes`);
  }
  if (length < 2n || Number(length) > fileBytes - prefixBytes) {
    const room = fileBytes - prefixBytes;
    throw malformed(
      "LMX5001",
      file,
      `Expected a header of 2 to ${room} bytes at byte 0, got ${length} bytes`,
    );
  }
  return Number(length);
}

/** Parses and checks the header bytes of a file of `fileBytes`. Throws LMX5001 to LMX5004. */
export function parseHeader(header: Uint8Array, fileBytes: number, file: string): SafetensorsHeader {
  if (header[0] !== 0x7b) {
    throw malformed("LMX5001", file, `Expected '{' at byte ${prefixBytes}, got byte ${header[0]}`);
  }
  const document = parseText(header, file);
  const dataStart = prefixBytes + header.byteLength;
  const dataBytes = fileBytes - dataStart;
  let metadata: Readonly<Record<string, string>> = {};
  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(document)) {
    if (name === "__metadata__") metadata = parseMetadata(value, file);
    else entries.push(parseEntry(name, value, dataStart, dataBytes, file));
  }
  entries.sort((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  checkCoverage(entries, dataStart, fileBytes, file);
  return { metadata, tensors: new Map(entries.map((entry) => [entry.name, entry])) };
}

/** Elements of a shape, or undefined beyond 2^53 - 1. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  let overflow = false;
  for (const size of shape) {
    if (size === 0) return 0; // whatever the other sizes are
    if (count > Number.MAX_SAFE_INTEGER / size) overflow = true;
    count *= size;
  }
  return overflow ? undefined : count;
}

function parseText(header: Uint8Array, file: string): Readonly<Record<string, Json>> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch (error) {
    throw malformed("LMX5002", file, "Expected UTF-8 in the header", error);
  }
  try {
    return parseStrictJson(text, { maxDepth: 8 }) as Readonly<Record<string, Json>>; // begins with '{'
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const byte = prefixBytes + Buffer.byteLength(text.slice(0, error.index));
    throw malformed("LMX5002", file, `${error.message} at byte ${byte} of the header`, error);
  }
}

function parseMetadata(value: Json, file: string): Readonly<Record<string, string>> {
  if (isObject(value) && Object.values(value).every((entry) => typeof entry === "string")) {
    return { ...value } as Record<string, string>;
  }
  throw malformed("LMX5003", file, "Expected strings by name at __metadata__");
}

function parseEntry(
  name: string,
  value: Json,
  dataStart: number,
  dataBytes: number,
  file: string,
): TensorEntry {
  const wrong = (what: string, got: Json | undefined): LayermixError =>
    malformed("LMX5003", file, `Expected ${what} at tensor ${quote(name)}, got ${quote(got ?? null)}`);
  if (!isObject(value)) throw wrong("an object", value);
  const unknown = Object.keys(value).find((key) => !["dtype", "shape", "data_offsets"].includes(key));
  if (unknown !== undefined) throw wrong("dtype, shape and data_offsets only", unknown);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(dtypeBytes, dtype)) {
    throw wrong(`a dtype (one of ${Object.keys(dtypeBytes).join(", ")})`, dtype);
  }
  if (!isIndexList(shape)) throw wrong("a shape of non-negative integers", shape);
  if (!isIndexList(offsets) || offsets.length !== 2) throw wrong("data_offsets [begin, end]", offsets);
  const [begin, end] = offsets as [number, number];
  const range = `tensor ${quote(name)} at data bytes ${begin} to ${end}`;
  if (begin > end || end > dataBytes) {
    throw malformed("LMX5004", file, `Expected ${range} inside the ${dataBytes} bytes of data`);
  }
  const count = elementCount(shape);
  const bytes = count === undefined ? undefined : count * dtypeBytes[dtype as SafetensorsDtype];
  if (bytes !== end - begin) {
    const size = bytes === undefined ? "more than 2^53 elements" : `${bytes} bytes`;
    throw malformed("LMX5004", file, `Expected ${size} (${dtype}, shape ${quote(shape)}) for ${range}`);
  }
  return {
    name,
    dtype: dtype as SafetensorsDtype,
    shape,
    byteOffset: dataStart + begin,
    byteLength: end - begin,
  };
}

function checkCoverage(
  entries: readonly TensorEntry[],
  dataStart: number,
  fileBytes: number,
  file: string,
): void {
  let expected = dataStart;
  for (const entry of entries) {
    if (entry.byteOffset !== expected) {
      const what = entry.byteOffset > expected ? "a hole" : "an overlap";
      const at = `tensor ${quote(entry.name)} at byte ${entry.byteOffset}`;
      throw malformed("LMX5004", file, `Expected ${at} to begin at byte ${expected}: the data have ${what}`);
    }
    expected += entry.byteLength;
  }
  if (expected !== fileBytes) {
    const rest = fileBytes - expected;
    throw malformed("LMX5004", file, `Expected the data to end at byte ${expected}, got ${rest} more bytes`);
  }
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isIndexList(value: Json | undefined): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

// Names come from the file: quoted, and cut so that a hostile one cannot flood the message.
function quote(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

function malformed(code: DiagnosticCode, file: string, message: string, cause?: unknown): LayermixError {
  const help = ["The file is damaged or is not a safetensors file; copy or write it again."];
  return new LayermixError(
    { code, severity: "error", message: `${message} in ${file}`, help },
    exitCodes.invalidFile,
    { cause },
  );
}
