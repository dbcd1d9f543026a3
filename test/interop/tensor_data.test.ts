// Tensor bytes as numbers: IEEE binary16 and bfloat16 widen exactly, integers fit 32 bits or are refused.

import assert from "node:assert/strict";
import fc from "fast-check";
import { toFloat64, toInt32 } from "../../src/interop/tensor_data.js";

const bytesOf = (array: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> =>
  new Uint8Array(array.buffer);

describe("toFloat64", () => {
  it("keeps F64 and F32 as they are", () => {
    const values = [1.5, -0, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** -149];
    assert.deepEqual([...toFloat64("w", "F64", bytesOf(Float64Array.from(values)))], values);
    assert.deepEqual([...toFloat64("w", "F32", bytesOf(Float32Array.from(values)))], values);
  });

  it("reads BF16 as the upper half of an F32", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), (bits) => {
        const [got] = toFloat64("w", "BF16", bytesOf(Uint16Array.of(bits)));
        const view = new DataView(new ArrayBuffer(4));
        view.setUint16(0, bits);
        assert.ok(Object.is(got, view.getFloat32(0)));
      }),
    );
  });

  // IEEE 754-2019, table 3.5: the corners of binary16.
  for (const [bits, expected] of [
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3c00, 1],
    [0x3555, 0.333251953125],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x7e00, Number.NaN],
  ] as const) {
    it(`reads F16 0x${bits.toString(16).padStart(4, "0")} as ${expected}`, () => {
      assert.ok(Object.is(toFloat64("w", "F16", bytesOf(Uint16Array.of(bits)))[0], expected));
    });
  }

  it("refuses integers", () => {
    assert.throws(() => toFloat64("w", "I64", new Uint8Array(8)), {
      message: "LMX5006: Expected a floating-point type (F64, F32, BF16, F16) in tensor w, got I64",
    });
  });
});

describe("toInt32", () => {
  it("reads I64 and I32", () => {
    const values = [0, -1, 2 ** 31 - 1, -(2 ** 31)];
    assert.deepEqual([...toInt32("ids", "I32", bytesOf(Int32Array.from(values)))], values);
    assert.deepEqual([...toInt32("ids", "I64", bytesOf(BigInt64Array.from(values, BigInt)))], values);
  });

  it("refuses what does not fit 32 bits, and other types", () => {
    assert.throws(() => toInt32("ids", "I64", bytesOf(BigInt64Array.of(2n ** 31n))), {
      message: "LMX5006: Expected values of 32 bits in tensor ids, got 2147483648",
    });
    assert.throws(() => toInt32("ids", "F32", new Uint8Array(4)), {
      message: "LMX5006: Expected an integer type (I64, I32) in tensor ids, got F32",
    });
  });
});
