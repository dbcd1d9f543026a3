// Tensor bytes of a safetensors file as numbers. Floating-point types widen to double exactly; integers are
// read as such.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { SafetensorsDtype } from "./safetensors_header.js";

/**
 * Values of a floating-point tensor. Throws LMX5006 for other dtypes. `bytes` start an ArrayBuffer of their
 * own.
 */
export function toFloat64(
  name: string,
  dtype: SafetensorsDtype,
  bytes: Uint8Array<ArrayBuffer>,
): Float64Array<ArrayBuffer> {
  switch (dtype) {
    case "F64":
      return new Float64Array(bytes.buffer);
    case "F32":
      return Float64Array.from(new Float32Array(bytes.buffer));
    case "BF16":
      return widenBfloat16(new Uint16Array(bytes.buffer));
    case "F16":
      return Float64Array.from(new Uint16Array(bytes.buffer), halfToNumber);
    default:
      throw wrongType(name, dtype, "a floating-point type (F64, F32, BF16, F16)");
  }
}

/** Values of an I64 or I32 tensor that fit 32 bits. Throws LMX5006 otherwise. */
export function toInt32(
  name: string,
  dtype: SafetensorsDtype,
  bytes: Uint8Array<ArrayBuffer>,
): Int32Array<ArrayBuffer> {
  if (dtype === "I32") return new Int32Array(bytes.buffer);
  if (dtype !== "I64") throw wrongType(name, dtype, "an integer type (I64, I32)");
  return Int32Array.from(new BigInt64Array(bytes.buffer), (value) => {
    if (BigInt.asIntN(32, value) !== value) throw wrongType(name, String(value), "values of 32 bits");
    return Number(value);
  });
}

/** The upper 16 bits of each value, rounded to nearest, ties to even; infinities and NaN stay what they are. */
export function roundToBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (word) => {
    if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40; // a NaN whose payload must not round away
    return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  });
}

function widenBfloat16(bits: Uint16Array): Float64Array<ArrayBuffer> {
  const wide = Uint32Array.from(bits, (half) => half * 0x10000);
  return Float64Array.from(new Float32Array(wide.buffer));
}

// IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function wrongType(name: string, got: string, expected: string): LayermixError {
  const message = `Expected ${expected} in tensor ${name}, got ${got}`;
  return new LayermixError({ code: "LMX5006", severity: "error", message, help: [] }, exitCodes.invalidFile);
}
