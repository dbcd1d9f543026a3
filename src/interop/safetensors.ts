// Reading and writing safetensors files. Reading maps nothing and loads nothing until a tensor is asked for;
// every header field is checked first (safetensors_header.ts). Writing lays tensors out by falling element
// size and then by name, so that equal tensors give equal bytes and every tensor is aligned, and holds one
// tensor in memory at a time.

import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { systemReason } from "../diag/system_reason.js";
import {
  dtypeBytes,
  elementCount,
  parseHeader,
  parseHeaderLength,
  prefixBytes,
  type SafetensorsDtype,
  type TensorEntry,
} from "./safetensors_header.js";

/** A tensor to be written. `data` is its little-endian bytes, or makes them when their turn comes. */
export interface TensorSource {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: Uint8Array | (() => Uint8Array);
}

/** An open file. Owns a file descriptor: close() it. */
export class SafetensorsFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** In file order. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  #descriptor: number | undefined;

  /** Opens and checks the header. Throws LMX5001 to LMX5005. */
  constructor(path: string) {
    this.path = path;
    const descriptor = attempt("read", path, () => openSync(path, "r"));
    try {
      const fileBytes = attempt("read", path, () => fstatSync(descriptor).size);
      const prefix = readAt(descriptor, 0, Math.min(prefixBytes, fileBytes), path);
      const headerBytes = parseHeaderLength(prefix, fileBytes, path);
      const header = parseHeader(readAt(descriptor, prefixBytes, headerBytes, path), fileBytes, path);
      this.metadata = header.metadata;
      this.tensors = header.tensors;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.#descriptor = descriptor;
  }

  /**
   * The bytes of one tensor, in a buffer of its own (so aligned for any typed array). Throws LMX5005,
   * LMX5006.
   */
  read(name: string): Uint8Array<ArrayBuffer> {
    const entry = this.tensors.get(name);
    if (!entry || this.#descriptor === undefined) {
      const message = entry
        ? `${this.path} is closed`
        : `Expected a tensor ${name} in ${this.path}, got none`;
      throw new LayermixError(
        { code: "LMX5006", severity: "error", message, help: [] },
        exitCodes.invalidFile,
      );
    }
    return readAt(this.#descriptor, entry.byteOffset, entry.byteLength, this.path);
  }

  close(): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** Opens a safetensors file; tensors are read when asked for. Throws LMX5001 to LMX5005. */
export function openSafetensors(path: string): SafetensorsFile {
  return new SafetensorsFile(path);
}

/**
 * Writes a safetensors file, replacing what is there. With `sync`, the bytes are on the disk when it returns.
 * Not atomic by itself: write beside the target and rename. Throws LMX5005 (disk), LMX5007 (data do not fit
 * shape).
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<TensorSource>,
  metadata: Readonly<Record<string, string>> = {},
  options: { readonly sync?: boolean } = {},
): void {
  const sources = [...tensors].sort(
    (a, b) => dtypeBytes[b.dtype] - dtypeBytes[a.dtype] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const header = serializeHeader(sources, metadata);
  const descriptor = attempt("write", path, () => openSync(path, "w"));
  try {
    writeAll(descriptor, header, path);
    for (const source of sources) {
      const data = typeof source.data === "function" ? source.data() : source.data;
      if (data.byteLength !== tensorBytes(source)) throw misfit(source, `${data.byteLength} bytes of data`);
      writeAll(descriptor, data, path);
    }
    if (options.sync) attempt("write", path, () => fsyncSync(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

function serializeHeader(
  sources: readonly TensorSource[],
  metadata: Readonly<Record<string, string>>,
): Buffer {
  const document: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) document.push(["__metadata__", metadata]);
  const names = new Set<string>(["__metadata__"]);
  let offset = 0;
  for (const source of sources) {
    if (names.has(source.name)) throw misfit(source, "a name that is already taken");
    names.add(source.name);
    const end = offset + tensorBytes(source);
    document.push([source.name, { dtype: source.dtype, shape: source.shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Object.fromEntries would move integer-like names to the front and so out of offset order; nothing reads
  // that order.
  const json = Buffer.from(JSON.stringify(Object.fromEntries(document)));
  const padding = (8 - (json.byteLength % 8)) % 8; // so that the data start aligned
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeBigUInt64LE(BigInt(json.byteLength + padding));
  return Buffer.concat([prefix, json, Buffer.alloc(padding, " ")]);
}

function tensorBytes(source: TensorSource): number {
  const sizes = source.shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  const count = sizes ? elementCount(source.shape) : undefined;
  if (count === undefined) throw misfit(source, "a shape that is not one");
  return count * dtypeBytes[source.dtype];
}

function misfit(source: TensorSource, got: string): LayermixError {
  const message = `Expected data of ${source.dtype} ${JSON.stringify(source.shape)} for tensor ${source.name}, got ${got}`;
  return new LayermixError({ code: "LMX5007", severity: "error", message, help: [] }, exitCodes.internal);
}

function readAt(
  descriptor: number,
  position: number,
  byteLength: number,
  path: string,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(byteLength);
  for (let done = 0; done < byteLength; ) {
    const want = Math.min(byteLength - done, 1 << 30); // one read(2) moves less than 2 GiB
    const got = attempt("read", path, () => readSync(descriptor, bytes, done, want, position + done));
    if (got === 0) throw unusable("read", path, `the file ended at byte ${position + done}`);
    done += got;
  }
  return bytes;
}

function writeAll(descriptor: number, bytes: Uint8Array, path: string): void {
  for (let done = 0; done < bytes.byteLength; ) {
    const want = Math.min(bytes.byteLength - done, 1 << 30);
    done += attempt("write", path, () => writeSync(descriptor, bytes, done, want));
  }
}

function attempt<T>(verb: "read" | "write", path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw unusable(verb, path, systemReason(error), error);
  }
}

function unusable(verb: "read" | "write", path: string, reason: string, cause?: unknown): LayermixError {
  const help =
    verb === "read" ? ["Check the path and its permissions."] : ["Check free space and permissions."];
  const message = `Expected to ${verb} ${path}, got: ${reason}`;
  const exit = verb === "read" ? exitCodes.invalidFile : exitCodes.storage;
  return new LayermixError({ code: "LMX5005", severity: "error", message, help }, exit, { cause });
}
