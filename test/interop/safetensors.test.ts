// safetensors: what is written reads back bit for bit, and no malformed file gets past the header checks.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { openSafetensors, type TensorSource, writeSafetensors } from "../../src/interop/safetensors.js";
import { dtypeBytes, type SafetensorsDtype } from "../../src/interop/safetensors_header.js";

const golden = new URL("../fixtures/golden/nemotronh_g1/model.safetensors", import.meta.url).pathname;

describe("safetensors", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "layermix-safetensors-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  const write = (bytes: Uint8Array): string => {
    const path = join(folder, "case.safetensors");
    writeFileSync(path, bytes);
    return path;
  };
  // A file from a header text and its data: what an attacker or a broken tool would produce.
  const file = (header: string | Buffer, data = Buffer.alloc(0), length?: bigint): string => {
    const text = Buffer.from(header);
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(length ?? BigInt(text.byteLength));
    return write(Buffer.concat([prefix, text, data]));
  };
  const refusal = (path: string): [string, string] => {
    try {
      openSafetensors(path).close();
    } catch (error) {
      assert.ok(error instanceof LayermixError, String(error));
      const [diagnostic] = error.diagnostics;
      return [diagnostic!.code, diagnostic!.message.replaceAll(path, "FILE")];
    }
    return assert.fail("accepted");
  };

  it("reads a file written by the reference implementation (safetensors via transformers 5.18.0)", () => {
    const opened = openSafetensors(golden);
    assert.deepEqual(opened.metadata, { format: "pt" });
    assert.equal(opened.tensors.size, 35);
    const conv = opened.tensors.get("backbone.layers.0.mixer.conv1d.weight")!;
    assert.deepEqual([conv.dtype, conv.shape, conv.byteLength], ["F32", [80, 1, 4], 1280]);
    const bytes = opened.read(conv.name);
    assert.deepEqual(
      Buffer.from(bytes),
      readFileSync(golden).subarray(conv.byteOffset, conv.byteOffset + 1280),
    );
    opened.close();
    assert.throws(() => opened.read(conv.name), { message: `LMX5006: ${golden} is closed` });
  });

  it("reads back what it wrote, for every dtype, shape and name", () => {
    const tensor = fc
      .record({
        name: fc.string({ unit: "grapheme", maxLength: 12 }).filter((name) => name !== "__metadata__"),
        dtype: fc.constantFrom(...(Object.keys(dtypeBytes) as SafetensorsDtype[])),
        shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
      })
      .chain(({ name, dtype, shape }) => {
        const length = shape.reduce((a, b) => a * b, 1) * dtypeBytes[dtype];
        return fc
          .uint8Array({ minLength: length, maxLength: length })
          .map((data) => ({ name, dtype, shape, data }));
      });
    const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 8 });
    const metadata = fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), { maxKeys: 3 });
    fc.assert(
      fc.property(tensors, metadata, fc.boolean(), (sources, notes, sync) => {
        const path = join(folder, "roundtrip.safetensors");
        const plain = { ...notes }; // fast-check dictionaries may have no prototype
        writeSafetensors(path, sources, plain, { sync });
        const opened = openSafetensors(path);
        assert.deepEqual(opened.metadata, plain);
        assert.equal(opened.tensors.size, sources.length);
        for (const { name, dtype, shape, data } of sources) {
          const entry = opened.tensors.get(name)!;
          assert.deepEqual([entry.dtype, entry.shape], [dtype, shape]);
          assert.equal(entry.byteOffset % dtypeBytes[dtype], 0, "aligned");
          assert.deepEqual(opened.read(name), data);
        }
        opened.close();
      }),
    );
  });

  it("writes equal bytes for equal tensors, in whatever order and form they come", () => {
    const sources: TensorSource[] = [
      { name: "b", dtype: "F32", shape: [2], data: new Uint8Array(8).fill(1) },
      { name: "a", dtype: "F32", shape: [], data: new Uint8Array(4).fill(2) },
      { name: "z", dtype: "F64", shape: [1], data: new Uint8Array(8).fill(3) },
    ];
    const [first, second] = [join(folder, "first"), join(folder, "second")];
    writeSafetensors(first, sources, { step: "3" });
    const lazy = [...sources]
      .reverse()
      .map((source) => ({ ...source, data: () => source.data as Uint8Array }));
    writeSafetensors(second, lazy, { step: "3" });
    assert.deepEqual(readFileSync(first), readFileSync(second));
  });

  it("refuses to write data that do not fit their shape, and two tensors of one name", () => {
    const path = join(folder, "misfit");
    const short: TensorSource = { name: "w", dtype: "F32", shape: [2, 2], data: new Uint8Array(15) };
    assert.throws(() => writeSafetensors(path, [short]), {
      message: "LMX5007: Expected data of F32 [2,2] for tensor w, got 15 bytes of data",
    });
    const good: TensorSource = { ...short, data: new Uint8Array(16) };
    assert.throws(() => writeSafetensors(path, [good, good]), {
      message: /LMX5007: .*a name that is already taken/,
    });
  });

  describe("refuses", () => {
    const entry = (dtype: string, shape: unknown, offsets: unknown): string =>
      `{"w":{"dtype":"${dtype}","shape":${JSON.stringify(shape)},"data_offsets":${JSON.stringify(offsets)}}}`;
    const four = Buffer.alloc(4);

    const cases: [string, () => string, string, string][] = [
      ["a file that is not there", () => join(folder, "absent"), "LMX5005", ""],
      [
        "an empty file",
        () => write(new Uint8Array(0)),
        "LMX5001",
        "Expected an 8-byte header length at byte 0, got 0 bytes in FILE",
      ],
      [
        "a header longer than 100 MB",
        () => file("{}", four, 100_000_001n),
        "LMX5001",
        "Expected a header of at most 100 MB at byte 0, got 100000001 bytes in FILE",
      ],
      [
        "a length of 2^64 - 1",
        () => file("{}", four, 2n ** 64n - 1n),
        "LMX5001",
        "Expected a header of at most 100 MB at byte 0, got 18446744073709551615 bytes in FILE",
      ],
      [
        "a header longer than the file",
        () => file("{}", four, 7n),
        "LMX5001",
        "Expected a header of 2 to 6 bytes at byte 0, got 7 bytes in FILE",
      ],
      [
        "a header that does not begin with {",
        () => file(" {}"),
        "LMX5001",
        "Expected '{' at byte 8, got byte 32 in FILE",
      ],
      [
        "bytes that are not UTF-8",
        () => file(Buffer.from([0x7b, 0xff, 0x7d])),
        "LMX5002",
        "Expected UTF-8 in the header in FILE",
      ],
      [
        "JSON with a mistake, at its byte",
        () => file('{"é": 1 2}'),
        "LMX5002",
        "Expected ',' or '}', got \"2\" at byte 17 of the header in FILE",
      ],
      [
        "duplicate names",
        () => file('{"w": 1, "w": 2}'),
        "LMX5002",
        'The key "w" appears twice at byte 17 of the header in FILE',
      ],
      [
        "metadata that are not strings",
        () => file('{"__metadata__": {"a": 1}}'),
        "LMX5003",
        "Expected strings by name at __metadata__ in FILE",
      ],
      [
        "an entry that is not an object",
        () => file('{"w": [1]}'),
        "LMX5003",
        'Expected an object at tensor "w", got [1] in FILE',
      ],
      [
        "an unknown field",
        () => file('{"w": {"offset": 1}}'),
        "LMX5003",
        'Expected dtype, shape and data_offsets only at tensor "w", got "offset" in FILE',
      ],
      [
        "an unknown dtype",
        () => file(entry("F8", [4], [0, 4]), four),
        "LMX5003",
        'Expected a dtype (one of F64, F32, BF16, F16, I64, I32, U8, BOOL) at tensor "w", got "F8" in FILE',
      ],
      [
        "a dtype named after an object member",
        () => file(entry("constructor", [4], [0, 4]), four),
        "LMX5003",
        "",
      ],
      [
        "a negative size",
        () => file(entry("U8", [-4], [0, 4]), four),
        "LMX5003",
        'Expected a shape of non-negative integers at tensor "w", got [-4] in FILE',
      ],
      ["a fractional size", () => file(entry("U8", [1.5], [0, 4]), four), "LMX5003", ""],
      ["a size beyond 2^53", () => file(entry("U8", [2 ** 53], [0, 4]), four), "LMX5003", ""],
      [
        "a missing shape",
        () => file('{"w":{"dtype":"U8","data_offsets":[0,4]}}', four),
        "LMX5003",
        'Expected a shape of non-negative integers at tensor "w", got null in FILE',
      ],
      ["three offsets", () => file(entry("U8", [4], [0, 2, 4]), four), "LMX5003", ""],
      [
        "a shape whose product overflows",
        () => file(entry("F32", [2 ** 32, 2 ** 32], [0, 4]), four),
        "LMX5004",
        'Expected more than 2^53 elements (F32, shape [4294967296,4294967296]) for tensor "w" at data bytes 0 to 4 in FILE',
      ],
      [
        "offsets beyond the data",
        () => file(entry("U8", [5], [0, 5]), four),
        "LMX5004",
        'Expected tensor "w" at data bytes 0 to 5 inside the 4 bytes of data in FILE',
      ],
      ["offsets that go backwards", () => file(entry("U8", [4], [4, 0]), four), "LMX5004", ""],
      [
        "offsets that do not match the shape",
        () => file(entry("F32", [2], [0, 4]), four),
        "LMX5004",
        'Expected 8 bytes (F32, shape [2]) for tensor "w" at data bytes 0 to 4 in FILE',
      ],
      ["a hole in front", () => file(entry("U8", [2], [2, 4]), four), "LMX5004", ""],
      ["data behind the last tensor", () => file(entry("U8", [2], [0, 2]), four), "LMX5004", ""],
      [
        "overlapping tensors",
        () =>
          file(
            '{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}',
            four,
          ),
        "LMX5004",
        'Expected tensor "b" at byte 115 to begin at byte 116: the data have an overlap in FILE',
      ],
      [
        "nesting without end",
        () => file(`{"w":${"[".repeat(50_000)}}`),
        "LMX5002",
        "Nested deeper than 8 levels at byte 20 of the header in FILE",
      ],
    ];
    for (const [title, make, code, message] of cases) {
      it(title, () => {
        const [gotCode, gotMessage] = refusal(make());
        assert.equal(gotCode, code, gotMessage);
        if (message !== "") assert.equal(gotMessage, message);
      });
    }

    it("any mutation of a good file, or reads only bytes inside it", () => {
      const good = readFileSync(golden);
      const headerEnd = 8 + Number(good.readBigUInt64LE(0));
      const mutation = fc.record({
        at: fc.integer({ min: 0, max: headerEnd - 1 }),
        byte: fc.integer({ min: 0, max: 255 }),
      });
      let refused = 0;
      fc.assert(
        fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), fc.nat(40), (mutations, cut) => {
          const bytes = Buffer.from(good.subarray(0, good.byteLength - cut));
          for (const { at, byte } of mutations) bytes[at] = byte;
          const path = write(bytes);
          try {
            const opened = openSafetensors(path);
            for (const tensor of opened.tensors.values()) {
              assert.ok(tensor.byteOffset + tensor.byteLength <= bytes.byteLength);
              opened.read(tensor.name);
            }
            opened.close();
          } catch (error) {
            assert.ok(error instanceof LayermixError, String(error));
            assert.match(error.diagnostics[0]!.code, /^LMX500[1-5]$/);
            refused += 1;
          }
        }),
        { numRuns: 500 },
      );
      assert.ok(refused > 250);
    });
  });
});
