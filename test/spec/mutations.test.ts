// Property: whatever is done to a study file, layermix does not crash; it accepts the file, or answers with
// codes that are catalogued, each at a place inside the file. And most misspelt keys are answered with the right name.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { allCodes } from "../../src/diag/catalog.js";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { renderDiagnostics } from "../../src/diag/render.js";
import { nearestName } from "../../src/diag/suggest.js";
import { parseStudy } from "../../src/spec/parse_study.js";
import { listPresets } from "../../src/spec/presets.js";
import { readStudySchema } from "../../src/spec/study_schema.js";

const originals = listPresets().map((preset) => readFileSync(preset.file, "utf8"));
const codes = new Set<string>(allCodes().map(([code]) => code));

/** Parses, and says "valid" or the number of messages; asserts everything that must hold for either. */
function verdict(input: string | Uint8Array): string {
  let outcome = "valid";
  try {
    parseStudy(input, { file: "mutant.yaml", presets: [] });
  } catch (error) {
    assert.ok(error instanceof LayermixError, `crashed: ${(error as Error).stack}`);
    assert.ok(error.diagnostics.length > 0, "refused without a reason");
    for (const { code, message, position } of error.diagnostics) {
      assert.ok(codes.has(code), `${code} is not catalogued`);
      assert.ok(message.length > 0 && !message.includes("\n"), `not one line: ${message}`);
      assert.ok(position !== undefined, `${code} has no position: ${message}`);
      assert.ok(position.line >= 1 && position.column >= 1 && position.file === "mutant.yaml");
    }
    const shown = renderDiagnostics(error.diagnostics, { color: false });
    assert.doesNotMatch(
      shown,
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/,
      "control characters reach the terminal",
    );
    outcome = `${error.diagnostics.length} messages`;
  }
  return outcome;
}

const oddValues = [
  "",
  "null",
  "-1",
  "1e999",
  "[]",
  "{}",
  "yes",
  "107%",
  '"',
  "'",
  "*a",
  "&a",
  "!x y",
  "| ",
  "{ a: [",
  "99999999999999999999",
  "0x10",
  ".nan",
  "\t",
  "# ",
];
const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

/** One edit of a text; positions are fractions of its length, so that edits can be combined. */
type Edit = (text: string) => string;
const offset = (text: string, where: number) => Math.floor(where * (text.length + 1));
const editLines = (text: string, where: number, edit: (line: string) => string[]): string => {
  const lines = text.split("\n");
  const i = Math.min(lines.length - 1, Math.floor(where * lines.length));
  lines.splice(i, 1, ...edit(lines[i]!));
  return lines.join("\n");
};

const edits: fc.Arbitrary<Edit> = fc.oneof(
  // Characters put in, taken out, replaced.
  fc.tuple(at, fc.string({ unit: "binary", maxLength: 4 }), fc.nat(6)).map(
    ([where, inserted, removed]): Edit =>
      (text) => {
        const i = offset(text, where);
        return text.slice(0, i) + inserted + text.slice(i + removed);
      },
  ),
  // YAML's own characters, which change the structure.
  fc.tuple(at, fc.constantFrom(..."{}[]:,-#&*!|>'\"%@`?\t\n ")).map(
    ([where, character]): Edit =>
      (text) => {
        const i = offset(text, where);
        return text.slice(0, i) + character + text.slice(i);
      },
  ),
  // A value of another type.
  fc.tuple(at, fc.constantFrom(...oddValues)).map(
    ([where, value]): Edit =>
      (text) =>
        editLines(text, where, (line) => [line.replace(/(:\s+)[^,}\]\s]+/, (_, colon) => colon + value)]),
  ),
  // A key renamed.
  fc.tuple(at, fc.string({ minLength: 1, maxLength: 8 })).map(
    ([where, key]): Edit =>
      (text) =>
        editLines(text, where, (line) => [line.replace(/[a-z_2]+(?=:)/, () => key)]),
  ),
  // Lines dropped, doubled, moved, indented.
  at.map(
    (where): Edit =>
      (text) =>
        editLines(text, where, () => []),
  ),
  at.map(
    (where): Edit =>
      (text) =>
        editLines(text, where, (line) => [line, line]),
  ),
  fc.tuple(at, at).map(
    ([from, to]): Edit =>
      (text) => {
        const lines = text.split("\n");
        const [line] = lines.splice(Math.floor(from * lines.length), 1);
        lines.splice(Math.floor(to * (lines.length + 1)), 0, line!);
        return lines.join("\n");
      },
  ),
  fc.tuple(at, fc.integer({ min: -4, max: 4 })).map(
    ([where, by]): Edit =>
      (text) =>
        editLines(text, where, (line) => [by < 0 ? line.slice(-by) : " ".repeat(by) + line]),
  ),
  // A bomb: deep nesting in every style, many aliases, many keys, long scalars.
  fc.tuple(at, fc.constantFrom("[", "{a: ", "- ", "? ", "&a [*a, "), fc.integer({ min: 1, max: 5000 })).map(
    ([where, opening, times]): Edit =>
      (text) => {
        const i = offset(text, where);
        return text.slice(0, i) + opening.repeat(times) + text.slice(i);
      },
  ),
  // A piece of another file.
  fc.tuple(at, fc.constantFrom(...originals), at, at).map(
    ([where, other, a, b]): Edit =>
      (text) => {
        const i = offset(text, where);
        const [from, to] = [a, b].map((x) => offset(other, x)).sort((x, y) => x - y);
        return text.slice(0, i) + other.slice(from, to) + text.slice(i);
      },
  ),
);

describe("mutated studies", function () {
  this.timeout(120_000);

  it("are each accepted or answered with a code and a position (1500 mutants)", () => {
    let refused = 0;
    const mutants = fc.tuple(fc.constantFrom(...originals), fc.array(edits, { minLength: 1, maxLength: 4 }));
    fc.assert(
      fc.property(mutants, ([original, chain]) => {
        if (verdict(chain.reduce((text, edit) => edit(text), original)) !== "valid") refused++;
      }),
      { numRuns: 1500, seed: 20_260_823 },
    );
    // The mutants are neither all harmless nor all hopeless.
    assert.ok(refused > 750 && refused < 1450, `${refused} of 1500 refused`);
  });

  it("survive random bytes (500 inputs)", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        verdict(bytes);
      }),
      { numRuns: 500, seed: 7 },
    );
  });

  const megabyte = 1024 * 1024;
  const bombs: Record<string, string> = {
    "brackets, 1 MiB": "[".repeat(megabyte),
    "braces, 1 MiB": "{a: ".repeat(megabyte / 4),
    "closing brackets before opening ones": `${"]".repeat(1000)}\n${"[".repeat(1000)}`,
    "dashes, 1 MiB": "- ".repeat(megabyte / 2),
    "question marks, 1 MiB": "? ".repeat(megabyte / 2),
    "indented keys": Array.from({ length: 1400 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
    "a hundred thousand keys": Array.from({ length: 100_000 }, (_, i) => `k${i}: 1`).join("\n"),
    "a hundred thousand equal keys": "k: 1\n".repeat(100_000),
    "a list of two hundred thousand": `model: [${"1,".repeat(200_000)}]`,
    "a billion laughs": Array.from(
      { length: 12 },
      (_, i) => `a${i}: &a${i} [${`*a${i - 1},`.repeat(i === 0 ? 0 : 9)}]`,
    ).join("\n"),
    "an anchor inside itself": "model: &m { hidden: *m }",
    "one long text": `name: ${"x".repeat(megabyte - 100)}`,
    "one long quoted text": `name: "${"\\n".repeat(megabyte / 2 - 100)}"`,
    "quotes, 1 MiB": '"'.repeat(megabyte),
    "colons, 1 MiB": ": ".repeat(megabyte / 2),
    "comments, 1 MiB": "# \n".repeat(megabyte / 3),
    "documents, 100,000": "---\n".repeat(100_000),
    "anchors, 1 MiB": "&a ".repeat(megabyte / 3),
    "tags, 1 MiB": "!t ".repeat(megabyte / 3),
    "more than 1 MiB": "#".repeat(megabyte + 1),
  };
  for (const [name, text] of Object.entries(bombs)) {
    it(`survive a bomb: ${name}`, () => {
      assert.notEqual(verdict(text), "valid");
      assert.notEqual(verdict(text), "valid", "twice in one process");
    });
  }

  it("get the right name for a misspelt key in nine of ten cases", () => {
    const keySets: string[][] = [];
    const visit = (node: unknown): void => {
      if (typeof node !== "object" || node === null) return;
      const { properties } = node as { properties?: Record<string, unknown> };
      if (properties !== undefined) keySets.push(Object.keys(properties));
      for (const child of Object.values(node)) visit(child);
    };
    visit(readStudySchema());
    const cases = keySets.flatMap((keys) =>
      keys.filter((key) => key.length > 3).map((key) => ({ key, keys })),
    );
    const letters = "abcdefghijklmnopqrstuvwxyz_";
    let right = 0;
    let total = 0;
    for (const { key, keys } of cases) {
      for (let i = 0; i < key.length; i++) {
        const letter = letters[(i * 7 + key.length) % letters.length]!;
        const misspelt = [
          key.slice(0, i) + key.slice(i + 1),
          key.slice(0, i) + letter + key.slice(i),
          key.slice(0, i) + letter + key.slice(i + 1),
          key.slice(0, i) + (key[i + 1] ?? "") + key[i]! + key.slice(i + 2),
        ];
        for (const wrong of misspelt) {
          if (keys.includes(wrong)) continue;
          total++;
          if (nearestName(wrong, keys) === key) right++;
        }
      }
    }
    assert.ok(total > 1000);
    assert.ok(right / total >= 0.9, `${right} of ${total}`);
  });
});
