// Canonical JSON: one text per value, whatever the order of keys; nothing is dropped or bent on the way.
import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalHash, canonicalJson } from "../../src/study/canonical_json.js";

/** The same value with the keys of every object inserted in reverse order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, reversed(item)]),
  );
}

/** JSON values as JSON itself reads them: without -0, which canonicalJson refuses. */
const plainJson = fc
  .jsonValue({ depthSize: "small" })
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown);

describe("canonical JSON", () => {
  it("sorts keys by code unit at every depth and leaves no white space", () => {
    assert.equal(
      canonicalJson({ b: [1, { z: null, a: true }], a: "é\n", Z: 0.1, "10": 1, "9": 2 }),
      '{"10":1,"9":2,"Z":0.1,"a":"é\\n","b":[1,{"a":true,"z":null}]}',
    );
  });

  it("reads back to the value it was made from, and does not depend on key order", () => {
    fc.assert(
      fc.property(plainJson, (value) => {
        const text = canonicalJson(value);
        assert.deepEqual(JSON.parse(text), value);
        assert.equal(canonicalJson(reversed(value)), text);
      }),
    );
  });

  it("refuses what JSON would change silently, and says where", () => {
    for (const [bad, path] of [
      [{ a: [1, Number.NaN] }, "$.a[1]"],
      [{ a: Number.POSITIVE_INFINITY }, "$.a"],
      [{ a: -0 }, "$.a"],
      [{ a: undefined }, "$.a"],
      [[new Date(0)], "$[0]"],
      [{ a: new Float32Array(1) }, "$.a"],
      [() => 1, "$"],
      [10n, "$"],
    ] as const) {
      assert.throws(
        () => canonicalJson(bad),
        (error: Error) => error instanceof TypeError && error.message.includes(`at ${path},`),
      );
    }
  });

  it("hashes with SHA-256 (known answer for the empty object)", () => {
    assert.equal(canonicalHash({}), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
  });
});
