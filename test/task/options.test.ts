import assert from "node:assert/strict";
import { resolveTaskOptions, type TaskOption } from "../../src/task/options.js";

const declared: readonly TaskOption[] = [
  { name: "pairs", kind: "integer", default: 16, minimum: 1, maximum: 1_000_000, description: "Pairs." },
  { name: "share", kind: "share", default: 0.1, minimum: 0.01, maximum: 0.5, description: "Share." },
  { name: "order", kind: "choice", default: "up", choices: ["up", "down"], description: "Order." },
];
const read = (raw: Record<string, unknown>) => resolveTaskOptions(declared, raw);

describe("resolveTaskOptions", () => {
  it("fills in defaults", () => {
    assert.deepEqual(read({}), { options: { pairs: 16, share: 0.1, order: "up" }, issues: [] });
  });

  it("reads counts with K, M, B as powers of 1000, and shares with %", () => {
    assert.deepEqual(read({ pairs: "64K", share: "12.5%", order: "down" }).options, {
      pairs: 64_000,
      share: 0.125,
      order: "down",
    });
    assert.equal(read({ pairs: "1.5K" }).options.pairs, 1500);
  });

  it("keeps the default and says what it expected where a value is wrong", () => {
    const wrong = [0, 1.5, "1.0001K", "many", null, true, [3], Number.NaN];
    for (const pairs of wrong) {
      const { options, issues } = read({ pairs });
      assert.equal(options.pairs, 16);
      assert.equal(issues.length, 1, String(pairs));
      assert.match(issues[0]!.message, /^Expected an integer from 1 to 1000000 for pairs, got /);
    }
    assert.equal(
      read({ share: "60%" }).issues[0]!.message,
      'Expected a share from 1% to 50% for share, got "60%"',
    );
    assert.equal(
      read({ order: "left" }).issues[0]!.message,
      'Expected one of up, down for order, got "left"',
    );
  });

  it("reports every wrong and unknown option at once", () => {
    assert.deepEqual(
      read({ pairs: 0, ordr: "up" }).issues.map(({ option, help }) => [option, help]),
      [
        ["pairs", ["Pairs."]],
        [
          "ordr",
          ["an option with a similar name exists: order", "options of this task: pairs, share, order"],
        ],
      ],
    );
  });
});
