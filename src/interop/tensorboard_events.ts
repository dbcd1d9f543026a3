// TensorBoard's event files, written without TensorFlow. A file is a sequence of TFRecords - length (u64), masked CRC-32C of
// it, data, masked CRC-32C of those - each holding one Event message of tensorboard/compat/proto/event.proto:
// wall_time = 1 (double), step = 2 (int64), file_version = 3 (string), summary = 5 {value = 1 {tag = 1, simple_value = 2}}.

export interface ScalarEvent {
  readonly tag: string;
  readonly step: number;
  /** Seconds since 1970. */
  readonly wallSeconds: number;
  readonly value: number;
}

/** The bytes of one event file: the version record, then one record per scalar, in order. */
export function eventFile(scalars: readonly ScalarEvent[]): Buffer {
  const first = scalars[0]?.wallSeconds ?? 0;
  const version = Buffer.concat([wallTime(first), field(3, Buffer.from("brain.Event:2"))]);
  return Buffer.concat([version, ...scalars.map(scalarEvent)].map(record));
}

function scalarEvent({ tag, step, wallSeconds, value }: ScalarEvent): Buffer {
  const simpleValue = Buffer.alloc(5);
  simpleValue[0] = (2 << 3) | 5;
  simpleValue.writeFloatLE(value, 1);
  const summary = field(1, Buffer.concat([field(1, Buffer.from(tag)), simpleValue]));
  return Buffer.concat([wallTime(wallSeconds), Buffer.from([(2 << 3) | 0]), varint(step), field(5, summary)]);
}

function wallTime(seconds: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = (1 << 3) | 1;
  bytes.writeDoubleLE(seconds, 1);
  return bytes;
}

/** A length-delimited field of a protocol buffer. */
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

function record(data: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, maskedChecksum(length), data, maskedChecksum(data)]);
}

function maskedChecksum(bytes: Buffer): Buffer {
  const sum = crc32c(bytes);
  const rotated = ((sum >>> 15) | (sum << 17)) >>> 0;
  const out = Buffer.alloc(4);
  out.writeUInt32LE((rotated + 0xa282ead8) >>> 0);
  return out;
}

/** Castagnoli's polynomial, reflected. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1;
  return sum >>> 0;
});

/** CRC-32C (RFC 3720, appendix B.4). */
export function crc32c(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = table[(sum ^ byte) & 0xff]! ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
