// Megatron's indexed dataset: PREFIX.idx says which sequences lie where in PREFIX.bin, raw tokens back to back.
// Layout of .idx, little endian: "MMIDIDX\0\0" | u64 version 1 | u8 element type | u64 sequences | u64 document
// indices (documents + 1) | i32 length of each sequence | i64 byte pointer of each | i64 document indices (first 0, last
// the number of sequences) | optional i8 modes. Every count is checked against the file before memory is taken for it,
// every pointer against the .bin.

import { corpusError } from "./corpus_error.js";
import { FileTokens, type TokenStore, type TokenType, tokenBytes } from "./token_store.js";
import { WindowFile } from "./window_file.js";

const magic = "MMIDIDX\0\0";
const headerBytes = 34;
const typeByCode: Readonly<Record<number, TokenType>> = {
  1: "uint8",
  2: "int8",
  3: "int16",
  4: "int32",
  5: "int64",
  8: "uint16",
};

export interface MegatronDataset extends TokenStore {
  readonly type: TokenType;
  /** Tokens of each sequence. */
  readonly lengths: Int32Array;
  /** Document d is the sequences documents[d] to documents[d + 1] - 1. */
  readonly documents: Float64Array;
  /** Where sequence s begins in the store: tokens of all sequences before it; one entry more than sequences. */
  readonly starts: Float64Array;
  readonly files: readonly [WindowFile, WindowFile];
}

/** Opens PREFIX.idx and PREFIX.bin. Throws LMX7004 (cannot be read), LMX7020 (index), LMX7021 (.bin). */
export function openMegatron(prefix: string, name: string = prefix): MegatronDataset {
  const index = new WindowFile(`${prefix}.idx`, `${name}.idx`);
  const data = new WindowFile(`${prefix}.bin`, `${name}.bin`);
  const damaged = (message: string) =>
    corpusError("LMX7020", `${message} in ${index.name}`, [
      "write the index again with Megatron's tools/preprocess_data.py, or copy the file again",
    ]);
  if (index.byteLength < headerBytes) {
    throw damaged(`Expected a header of ${headerBytes} bytes at byte 0, got ${index.byteLength}`);
  }
  const header = new Uint8Array(headerBytes);
  index.read(0, header);
  const view = new DataView(header.buffer);
  const found = Buffer.from(header.subarray(0, 9)).toString("latin1");
  if (found !== magic) throw damaged(`Expected MMIDIDX at byte 0, got ${JSON.stringify(found)}`);
  const version = view.getBigUint64(9, true);
  if (version !== 1n) throw damaged(`Expected version 1 at byte 9, got ${version}`);
  const code = view.getUint8(17);
  const type = typeByCode[code];
  if (type === undefined) {
    throw damaged(`Expected the code of an integer type (1 to 5, 8) at byte 17, got ${code}`);
  }
  const sequences = count(view.getBigUint64(18, true));
  const indices = count(view.getBigUint64(26, true));
  const plain = headerBytes + 12 * sequences + 8 * indices;
  if (index.byteLength !== plain && index.byteLength !== plain + sequences) {
    throw damaged(
      `Expected ${plain} bytes for ${sequences} sequences and ${indices} document indices (or ${sequences} more for ` +
        `modes), got ${index.byteLength} bytes`,
    );
  }
  const lengths = new Int32Array(sequences);
  index.read(headerBytes, new Uint8Array(lengths.buffer));
  const pointers = readInt64(index, headerBytes + 4 * sequences, sequences);
  const documents = readInt64(index, headerBytes + 12 * sequences, indices);
  checkDocuments(documents, sequences, (at, message) =>
    damaged(`${message} at byte ${headerBytes + 12 * sequences + 8 * at}`),
  );
  const width = tokenBytes(type);
  const starts = new Float64Array(sequences + 1);
  for (let s = 0; s < sequences; s++) {
    const [length, pointer] = [lengths[s]!, pointers[s]!];
    if (length < 0)
      throw damaged(`Expected a length of 0 or more at byte ${headerBytes + 4 * s}, got ${length}`);
    if (pointer < 0 || pointer % width !== 0 || pointer + length * width > data.byteLength) {
      const place = headerBytes + 4 * sequences + 8 * s;
      throw corpusError(
        "LMX7021",
        `Expected sequence ${s} (${length} tokens of ${type}, pointer ${pointer} at byte ${place} of ${index.name}) ` +
          `inside ${data.name}, got a file of ${data.byteLength} bytes`,
        ["the .bin is cut off, or belongs to another .idx"],
      );
    }
    starts[s + 1] = starts[s]! + length;
  }
  return {
    ...store(data, type, pointers, lengths, starts),
    type,
    lengths,
    documents,
    starts,
    files: [index, data],
  };
}

/** Counts come from the file: beyond 2^53 they cannot be those of a file that exists. */
function count(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(value);
}

function readInt64(file: WindowFile, position: number, length: number): Float64Array {
  const values = new BigInt64Array(length);
  file.read(position, new Uint8Array(values.buffer));
  return Float64Array.from(values, Number);
}

function checkDocuments(
  documents: Float64Array,
  sequences: number,
  damaged: (at: number, message: string) => Error,
): void {
  if (documents.length === 0) throw damaged(0, "Expected at least one document index, got none");
  if (documents[0] !== 0) throw damaged(0, `Expected the first document index to be 0, got ${documents[0]}`);
  for (let d = 1; d < documents.length; d++) {
    if (documents[d]! < documents[d - 1]!) {
      throw damaged(
        d,
        `Expected document indices that do not fall, got ${documents[d]} after ${documents[d - 1]}`,
      );
    }
  }
  const last = documents.at(-1)!;
  if (last !== sequences) {
    throw damaged(documents.length - 1, `Expected the last document index to be ${sequences}, got ${last}`);
  }
}

/** Sequences in order of their numbers, wherever they lie in the .bin. */
function store(
  data: WindowFile,
  type: TokenType,
  pointers: Float64Array,
  lengths: Int32Array,
  starts: Float64Array,
): TokenStore {
  const width = tokenBytes(type);
  const all = new FileTokens(data, type, 0, Math.floor(data.byteLength / width));
  const total = starts.at(-1)!;
  if (pointers.every((pointer, s) => pointer === starts[s]! * width)) {
    return { count: total, read: (...range) => all.read(...range) };
  }
  const read = (start: number, length: number, out: Int32Array, offset: number) => {
    let s = sequenceAt(starts, start);
    for (let done = 0; done < length; s++) {
      const within = start + done - starts[s]!;
      const take = Math.min(length - done, lengths[s]! - within);
      all.read(pointers[s]! / width + within, take, out, offset + done);
      done += take;
    }
  };
  return { count: total, read };
}

/** The sequence that holds a token: the last one that begins at or before it and is not empty. */
export function sequenceAt(starts: Float64Array, token: number): number {
  let low = 0;
  let high = starts.length - 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (token < starts[middle + 1]!) high = middle;
    else low = middle + 1;
  }
  return low;
}
