import assert from "node:assert/strict";
import { philox4x32 } from "../../src/task/philox.js";

// Known answers of Random123 1.14 (kat_vectors, philox4x32 10).
const known: [number[], number[], number[]][] = [
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
];

describe("philox4x32", () => {
  for (const [counter, key, expected] of known) {
    it(`counter ${counter[0]!.toString(16)} key ${key[0]!.toString(16)} gives the published words`, () => {
      const out = new Uint32Array(4);
      philox4x32(out, counter[0]!, counter[1]!, counter[2]!, counter[3]!, key[0]!, key[1]!);
      assert.deepEqual([...out], expected);
    });
  }

  // An independent oracle: the same rounds in BigInt arithmetic, where 64-bit products need no care.
  it("equals a BigInt implementation on 500 counters", () => {
    const mask = 0xffffffffn;
    let state = 12345n;
    const word = () => {
      state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
      return state >> 32n;
    };
    const out = new Uint32Array(4);
    for (let i = 0; i < 500; i++) {
      const counter = [word(), word(), word(), word()];
      const key = [word(), word()];
      let [a, b, c, d] = counter as [bigint, bigint, bigint, bigint];
      let [k0, k1] = key as [bigint, bigint];
      for (let round = 0; round < 10; round++) {
        const p0 = 0xd2511f53n * a;
        const p1 = 0xcd9e8d57n * c;
        [a, b, c, d] = [(p1 >> 32n) ^ b ^ k0, p1 & mask, (p0 >> 32n) ^ d ^ k1, p0 & mask];
        k0 = (k0 + 0x9e3779b9n) & mask;
        k1 = (k1 + 0xbb67ae85n) & mask;
      }
      const [c0, c1, c2, c3] = counter.map(Number) as [number, number, number, number];
      philox4x32(out, c0, c1, c2, c3, Number(key[0]), Number(key[1]));
      assert.deepEqual([...out].map(BigInt), [a, b, c, d]);
    }
  });
});
