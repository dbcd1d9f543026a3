// The pattern grammar: Megatron's acceptance, rejection and values; our words, with the column.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { layOut } from "../../src/plan/layout.js";
import { mainLayers, parsePattern, segmentCount, segmentLayers } from "../../src/plan/parse_pattern.js";
import { refusal } from "./refusal.js";

interface Outcome {
  readonly ok: boolean;
  readonly value?: unknown;
}
interface Vector {
  readonly pattern: string;
  readonly main: Outcome;
  readonly total_layer_count: Outcome;
  readonly segment_count: Outcome;
  readonly layer_counts: Outcome;
  readonly validate_segment: Outcome;
}
const { vectors } = JSON.parse(
  readFileSync(new URL("../fixtures/megatron_pattern_parse.json", import.meta.url), "utf8"),
) as { vectors: Vector[] };

/** {ok, value} of a call, an error being {ok: false}. */
function outcome(work: () => unknown): Outcome {
  try {
    return { ok: true, value: work() };
  } catch {
    return { ok: false };
  }
}

function same(got: Outcome, expected: Outcome): void {
  assert.deepEqual(got, expected.ok ? { ok: true, value: expected.value } : { ok: false });
}

describe("parsePattern", () => {
  for (const vector of vectors) {
    it(`reads ${JSON.stringify(vector.pattern)} as Megatron does`, () => {
      const { pattern } = vector;
      same(
        outcome(() => {
          const { main, mtp, mtpDepths } = parsePattern(pattern);
          return { main_pattern: main, mtp_pattern: mtp, mtp_num_depths: mtpDepths };
        }),
        vector.main,
      );
      same(
        outcome(() => parsePattern(pattern).counts),
        vector.layer_counts,
      );
      same(
        outcome(() => mainLayers(pattern)),
        vector.total_layer_count,
      );
      same(
        outcome(() => segmentCount(pattern)),
        vector.segment_count,
      );
      same(
        outcome(() => segmentLayers(pattern)),
        vector.validate_segment,
      );
    });
  }

  it("takes empty segments, an empty text and a text without main pattern", () => {
    assert.deepEqual(parsePattern("||M").segments, ["", "", "M"]);
    assert.equal(parsePattern("").layers, 0);
    const { main, mtp, mtpDepths, layers, counts } = parsePattern("/MM/MM");
    assert.deepEqual(
      { main, mtp, mtpDepths, layers, mamba2: counts.M },
      { main: null, mtp: "MM", mtpDepths: 2, layers: 0, mamba2: 4 },
    );
    assert.equal(parsePattern("M*//").mtp, null);
  });

  const wrong: readonly (readonly [string, string, string, string])[] = [
    [
      "M-M-x",
      "LMX2001",
      'Expected a layer symbol at column 5 of the main pattern, got "x"',
      "layer symbols are",
    ],
    [
      "M-m",
      "LMX2001",
      'Expected a layer symbol at column 3 of the main pattern, got "m"',
      "symbols are case sensitive; Mamba-2 is M",
    ],
    [
      "M- M",
      "LMX2001",
      'Expected a layer symbol at column 3 of the main pattern, got " "',
      "a pattern has no white space",
    ],
    [
      "M*/M|",
      "LMX2001",
      'Expected a layer symbol at column 5 of the suffix, got "|"',
      "pipeline cuts belong to the main pattern",
    ],
    [
      "M*/MM/M*",
      "LMX2002",
      'Expected every suffix after / to be "MM", got "M*"',
      "multi-token prediction repeats one suffix",
    ],
    ["M*+", "LMX2003", "Expected one kind of attention in the main pattern, got * beside +", "use either *"],
  ];
  for (const [pattern, code, message, help] of wrong) {
    it(`says what is wrong with ${JSON.stringify(pattern)}`, () => {
      const refused = refusal(() => parsePattern(pattern));
      assert.deepEqual([refused.code, refused.message, refused.exitCode], [code, message, 3]);
      assert.ok(refused.help[0]?.startsWith(help), refused.help[0]);
    });
  }
});

describe("the layout of an explicit pattern", () => {
  const lay = (pattern: string) => layOut({ kind: "pattern", pattern });

  it("leaves pipeline cuts out, and says so", () => {
    const { pattern, counts, notes } = lay("M-|*-|M");
    assert.equal(pattern, "M-*-M");
    assert.deepEqual(counts, { mamba2: 2, attention: 1, mlp: 2 });
    assert.deepEqual(
      notes.map(({ code }) => code),
      ["LMX2106"],
    );
  });

  for (const [pattern, code, words] of [
    ["MD", "LMX2004", "DeepSeek sparse attention (D) is not supported yet"],
    ["M*/MM", "LMX2005", "Multi-token prediction (the suffix /MM) is not supported yet"],
    ["|", "LMX2006", "Expected at least one layer in the pattern, got none"],
  ] as const) {
    it(`refuses ${pattern}: ${words}`, () => {
      const { code: got, message, exitCode } = refusal(() => lay(pattern));
      assert.deepEqual([got, message, exitCode], [code, words, 4]);
    });
  }
});
