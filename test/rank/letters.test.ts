import assert from "node:assert/strict";
import fc from "fast-check";
import { tieLetters } from "../../src/rank/letters.js";

describe("tieLetters", () => {
  it("gives one letter to candidates that are all tied", () => {
    assert.deepEqual(Object.fromEntries(tieLetters(["x", "y", "z"], () => false)!), {
      x: "a",
      y: "a",
      z: "a",
    });
  });

  it("shows a tie that is not transitive", () => {
    const differs = (a: string, b: string) => [a, b].sort().join() === "x,z";
    assert.deepEqual(Object.fromEntries(tieLetters(["x", "y", "z"], differs)!), { x: "a", y: "ab", z: "b" });
  });

  it("shares a letter exactly between those that are tied, for any pattern of differences", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 7 }),
        fc.array(fc.boolean(), { minLength: 21, maxLength: 21 }),
        (n, bits) => {
          const names = Array.from({ length: n }, (_, i) => `c${i}`);
          const index = (a: string, b: string) => {
            const [i, j] = [Number(a.slice(1)), Number(b.slice(1))].sort((x, y) => x - y) as [number, number];
            return (j * (j - 1)) / 2 + i;
          };
          const differs = (a: string, b: string) => bits[index(a, b)]!;
          const letters = tieLetters(names, differs)!;
          for (const a of names) {
            assert.ok(letters.get(a)!.length > 0);
            for (const b of names) {
              if (a === b) continue;
              const shared = [...letters.get(a)!].some((letter) => letters.get(b)!.includes(letter));
              assert.equal(shared, !differs(a, b));
            }
          }
        },
      ),
    );
  });
});
