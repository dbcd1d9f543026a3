// Token files against bytes that Megatron-LM, llm.c and nanoGPT wrote, and against every way in which one can be cut
// off or lie.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { looksLikeLlmc, openLlmc, openNanoGpt } from "../../src/corpus/llmc_file.js";
import { openMegatron } from "../../src/corpus/megatron_index.js";
import { JoinedTokens, largestToken, type TokenStore } from "../../src/corpus/token_store.js";
import { WindowFile } from "../../src/corpus/window_file.js";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { fixture, fixtureJson, refuses, tokensOf } from "./fixture.js";

const vectors = fixtureJson("data_formats.json");

describe("Megatron datasets", () => {
  const folder = useTemporaryFolder();

  for (const recorded of vectors.indexed_dataset) {
    it(`reads ${recorded.name} as its writer does`, () => {
      assert.equal(readFileSync(fixture(`${recorded.name}.idx`)).toString("hex"), recorded.idx_hex);
      const data = openMegatron(fixture(recorded.name));
      assert.equal(data.type, recorded.dtype);
      assert.deepEqual([...data.lengths], recorded.sequence_lengths);
      assert.deepEqual([...data.documents], recorded.document_indices);
      recorded.read_back.forEach((tokens: number[], s: number) => {
        assert.deepEqual(tokensOf(data, data.starts[s]!, data.starts[s + 1]!), tokens);
      });
      const second = data.starts[1]! + 1;
      assert.deepEqual(tokensOf(data, second, second + 2), recorded.get_1_off1_len2);
      assert.equal(largestToken(data, 2), Math.max(...recorded.read_back.flat()));
    });
  }

  it("follows pointers, wherever they lead in the .bin", () => {
    const idx = readFileSync(fixture("mg_u16.idx"));
    const pointers = 34 + 4 * 4;
    idx.writeBigInt64LE(16n, pointers + 8); // sequence 1 (4 tokens) where sequence 3 lies
    idx.writeBigInt64LE(0n, pointers + 16); // sequence 2 (1 token) at the first byte
    writeFileSync(join(folder(), "x.idx"), idx);
    writeFileSync(join(folder(), "x.bin"), readFileSync(fixture("mg_u16.bin")));
    const data = openMegatron(join(folder(), "x"));
    assert.deepEqual(tokensOf(data), [1, 2, 3, 6, 7, 8, 9, 1, 6, 7, 8, 9]);
    assert.deepEqual(tokensOf(data, 2, 8), [3, 6, 7, 8, 9, 1]);
  });

  it("takes the modes of multimodal datasets", () => {
    writeFileSync(
      join(folder(), "x.idx"),
      Buffer.concat([readFileSync(fixture("mg_u16.idx")), Buffer.alloc(4)]),
    );
    writeFileSync(join(folder(), "x.bin"), readFileSync(fixture("mg_u16.bin")));
    assert.equal(openMegatron(join(folder(), "x")).count, 12);
  });

  const damage = (
    change: (idx: Buffer) => Buffer | undefined,
    bin: Buffer = readFileSync(fixture("mg_u16.bin")),
  ) => {
    const idx = Buffer.from(readFileSync(fixture("mg_u16.idx")));
    writeFileSync(join(folder(), "x.idx"), change(idx) ?? idx);
    writeFileSync(join(folder(), "x.bin"), bin);
    return () => openMegatron(join(folder(), "x"), "x");
  };

  it("says what is wrong with an index, and at which byte", async () => {
    const written = (write: (idx: Buffer) => void) => damage((idx) => void write(idx));
    await refuses(
      "LMX7020",
      ["Expected MMIDIDX at byte 0", "x.idx"],
      written((idx) => idx.write("GGUF", 0)),
    );
    await refuses(
      "LMX7020",
      ["version 1 at byte 9, got 2"],
      written((idx) => idx.writeBigUInt64LE(2n, 9)),
    );
    await refuses(
      "LMX7020",
      ["at byte 17, got 7"],
      written((idx) => idx.writeUInt8(7, 17)),
    );
    await refuses(
      "LMX7020",
      ["got 114 bytes"],
      written((idx) => idx.writeBigUInt64LE(5n, 18)),
    );
    await refuses(
      "LMX7020",
      ["Infinity sequences"],
      written((idx) => idx.writeBigUInt64LE(1n << 63n, 18)),
    );
    await refuses(
      "LMX7020",
      ["document indices"],
      written((idx) => idx.writeBigUInt64LE(400n, 26)),
    );
    await refuses(
      "LMX7020",
      ["length of 0 or more at byte 38, got -4"],
      written((idx) => idx.writeInt32LE(-4, 38)),
    );
    await refuses(
      "LMX7020",
      ["to be 0, got 1", "at byte 82"],
      written((idx) => idx.writeBigInt64LE(1n, 82)),
    );
    await refuses(
      "LMX7020",
      ["do not fall, got 0 after 1", "at byte 98"],
      written((idx) => idx.writeBigInt64LE(0n, 98)),
    );
    await refuses(
      "LMX7020",
      ["to be 4, got 9", "at byte 106"],
      written((idx) => idx.writeBigInt64LE(9n, 106)),
    );
    const outside = [
      "Expected sequence 2 (1 tokens of uint16, pointer 4000 at byte 66 of x.idx) inside x.bin",
    ];
    await refuses(
      "LMX7021",
      outside,
      written((idx) => idx.writeBigInt64LE(4000n, 66)),
    );
    await refuses(
      "LMX7021",
      ["pointer 15"],
      written((idx) => idx.writeBigInt64LE(15n, 66)),
    );
    await refuses(
      "LMX7021",
      ["got a file of 23 bytes"],
      damage(() => undefined, readFileSync(fixture("mg_u16.bin")).subarray(0, 23)),
    );
  });

  it("refuses an index cut off at any byte", async () => {
    const { length } = readFileSync(fixture("mg_u16.idx"));
    for (let keep = 0; keep < length; keep++)
      await refuses(
        "LMX7020",
        [],
        damage((idx) => idx.subarray(0, keep)),
      );
  });

  it("reads or refuses an index with any bytes changed, and never anything else", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(113), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
        const open = damage((idx) => {
          for (const [at, value] of changes) idx[at] = value;
          return idx;
        });
        try {
          const data = open();
          tokensOf(data);
        } catch (error) {
          assert.ok(error instanceof LayermixError, String(error));
          assert.match(error.diagnostics[0]!.code, /^LMX702[012]$/);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("token files of llm.c and nanoGPT", () => {
  const folder = useTemporaryFolder();
  const patch = (write: (bytes: Buffer) => void) => (bytes: Buffer) => {
    write(bytes);
    return bytes;
  };
  const changed = (name: string, change: (bytes: Buffer) => Buffer): WindowFile => {
    writeFileSync(join(folder(), "x.bin"), change(Buffer.from(readFileSync(fixture(name)))));
    return new WindowFile(join(folder(), "x.bin"), "x.bin");
  };

  for (const recorded of vectors.llmc) {
    it(`reads the ${recorded.model_desc} file that llm.c wrote`, () => {
      const file = new WindowFile(fixture(`llmc_${recorded.model_desc}.bin`));
      assert.ok(looksLikeLlmc(file));
      assert.equal(file.byteLength, recorded.size);
      assert.deepEqual(tokensOf(openLlmc(file)), recorded.tokens);
    });
  }

  it("reads nanoGPT's tokens, which have no header", () => {
    const file = new WindowFile(fixture("nanogpt.bin"));
    assert.ok(!looksLikeLlmc(file));
    assert.deepEqual(tokensOf(openNanoGpt(file)), vectors.nanogpt.tokens);
  });

  it("refuses a file whose size is not what its header says", async () => {
    const cut = changed("llmc_gpt-2.bin", (bytes) => bytes.subarray(0, 1033));
    await refuses("LMX7021", ["Expected 1034 bytes for the 5 tokens", "byte 8 of x.bin", "got 1033"], () =>
      openLlmc(cut),
    );
    const more = changed(
      "llmc_gpt-2.bin",
      patch((bytes) => bytes.writeInt32LE(-1, 8)),
    );
    await refuses("LMX7021", ["-1 tokens"], () => openLlmc(more));
    const version = changed(
      "llmc_gpt-2.bin",
      patch((bytes) => bytes.writeInt32LE(2, 4)),
    );
    await refuses("LMX7021", ["version 1 at byte 4 of x.bin, got 2"], () => openLlmc(version));
    const evaluation = changed(
      "llmc_gpt-2.bin",
      patch((bytes) => bytes.writeInt32LE(20240522, 0)),
    );
    await refuses("LMX7021", ["an evaluation set"], () => openLlmc(evaluation));
    await refuses("LMX7021", ["even number of bytes", "got 7"], () =>
      openNanoGpt(changed("nanogpt.bin", (b) => b.subarray(0, 7))),
    );
  });

  it("refuses token ids that do not fit a token", async () => {
    const file = changed(
      "llmc_llama-3.bin",
      patch((bytes) => bytes.writeUInt32LE(0x80000000, 1028)),
    );
    await refuses("LMX7022", ["got 2147483648 at byte 1028"], () => tokensOf(openLlmc(file)));
  });
});

describe("joined token stores", () => {
  const plain = (values: readonly number[]): TokenStore => ({
    count: values.length,
    read: (start, length, out, offset) => {
      assert.ok(start >= 0 && length >= 0 && start + length <= values.length, "inside the part");
      out.set(values.slice(start, start + length), offset);
    },
  });

  it("give any window of the parts with separators between them", () => {
    const parts = fc.array(fc.array(fc.nat(99), { maxLength: 5 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        parts,
        fc.array(fc.integer({ min: 100, max: 105 }), { maxLength: 3 }),
        (values, separator) => {
          const whole = values.flatMap((part, i) => (i === 0 ? part : [...separator, ...part]));
          const joined = new JoinedTokens(values.map(plain), separator);
          assert.equal(joined.count, whole.length);
          for (let start = 0; start <= whole.length; start++) {
            for (let end = start; end <= whole.length; end++) {
              assert.deepEqual(tokensOf(joined, start, end), whole.slice(start, end));
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
