// parseStrictJson accepts what JSON.parse accepts, less duplicate keys and deep nesting, and points at every mistake.

import assert from "node:assert/strict";
import fc from "fast-check";
import { JsonSyntaxError, parseStrictJson } from "../../src/interop/strict_json.js";

// The prototype-less objects of the parser as ordinary ones, so that deepEqual compares contents alone.
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function mistake(text: string): [string, number] {
  try {
    parseStrictJson(text);
  } catch (error) {
    assert.ok(error instanceof JsonSyntaxError);
    return [error.message, error.index];
  }
  return assert.fail(`accepted ${text}`);
}

describe("parseStrictJson", () => {
  it("reads any JSON document as JSON.parse does", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom(undefined, 1, "\t"), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        assert.deepEqual(plain(parseStrictJson(text)), JSON.parse(text));
      }),
    );
  });

  it("answers any text either with JSON.parse's value or with a position inside the text", () => {
    const character = fc.constantFrom(...'{}[]:,"\\ \ntruefalsn0123456789.eE+-u', "\u0001", "é");
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 30 }), (text) => {
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          const [, index] = mistake(text);
          assert.ok(index >= 0 && index <= text.length + 1);
          return;
        }
        // 1e999 is Infinity to both, and null once plain.
        if (!/"/.test(text)) assert.deepEqual(plain(parseStrictJson(text)), plain(expected));
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses a duplicate key at the second one, however it is spelled", () => {
    assert.deepEqual(mistake('{"a": 1, "a": 2}'), ['The key "a" appears twice', 9]);
    assert.deepEqual(mistake('{"a": 1, "\\u0061": 2}'), ['The key "a" appears twice', 9]);
    assert.deepEqual(
      mistake('{"x": {"__proto__": 1, "__proto__": 2}}')[0],
      'The key "__proto__" appears twice',
    );
  });

  it("keeps __proto__ as an ordinary key", () => {
    const parsed = parseStrictJson('{"__proto__": {"polluted": true}}') as Record<string, unknown>;
    assert.deepEqual(Object.keys(parsed), ["__proto__"]);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });

  it("refuses depth beyond the limit without recursing into it", () => {
    assert.equal(mistake("[".repeat(100_000))[1], 16);
    assert.deepEqual(
      plain(parseStrictJson("[".repeat(15) + "]".repeat(15))),
      JSON.parse("[".repeat(15) + "]".repeat(15)),
    );
  });

  it("reads strings of many megabytes", () => {
    const text = "x".repeat(20_000_000);
    assert.equal(parseStrictJson(JSON.stringify(text)), text);
  });

  for (const [text, message, index] of [
    ["", "Expected a value, got the end", 0],
    ["{} x", 'Expected the end, got "x"', 3],
    ['{"a" 1}', "Expected ':', got \"1\"", 5],
    ["[1 2]", "Expected ',' or ']', got \"2\"", 3],
    ["[1,]", 'Expected a value, got "]"', 3],
    ['{"a":1,}', 'Expected a string key, got "}"', 7],
    ["[01]", "Expected ',' or ']', got \"1\"", 2],
    ["NaN", 'Expected a value, got "N"', 0],
    ['"open', "Expected '\"', got the end", 5],
    ['"\\x"', "Expected a string without control characters and bad escapes", 0],
  ] as const) {
    it(`points at the mistake in ${JSON.stringify(text)}`, () =>
      assert.deepEqual(mistake(text), [message, index]));
  }
});
