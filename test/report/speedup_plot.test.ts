import assert from "node:assert/strict";
import type { Projection } from "../../src/project/projection.js";
import { speedupPlot } from "../../src/report/speedup_plot.js";

/** Rows of the plot from the top, for a model that is `speedup` times as fast at 1K and at 1M tokens. */
function rows(speedups: readonly [number, number], unicode: boolean): readonly string[] {
  const [first, last] = speedups;
  const curve = [
    { context: 2 ** 10, speedup: first },
    { context: 2 ** 20, speedup: last },
  ];
  const projection = { baseline: "other", speedups: curve } as unknown as Projection;
  return speedupPlot([projection], { color: false, width: 100, unicode }).split("\n").slice(1, 11);
}

/** The row with the first dot of the curve, and the row of equal speed. */
function places(speedups: readonly [number, number], unicode: boolean) {
  const lines = rows(speedups, unicode).map((line) => line.split(unicode ? "┤" : "|"));
  const level = lines.findIndex(([label]) => label!.trim() === "1x");
  const start = lines.findIndex(([, drawn]) => drawn !== undefined && /^[*\u2801-\u28ff]/.test(drawn));
  return { level, start };
}

describe("the plot of speed-ups", () => {
  it("begins at or above the line of equal speed where the model is faster, whatever the scale", () => {
    for (const unicode of [true, false]) {
      for (let last = 1.1; last < 300; last *= 1.17) {
        const { level, start } = places([1.01, last], unicode);
        assert.ok(
          level >= 0 && start >= 0 && start <= level,
          `1.01x to ${last}x: row ${start}, 1x is row ${level}`,
        );
      }
    }
  });

  it("begins at or below that line where it is slower", () => {
    for (const unicode of [true, false]) {
      for (const last of [2, 4, 14, 40]) {
        const { level, start } = places([0.9, last], unicode);
        assert.ok(start >= level, `0.9x to ${last}x: row ${start}, 1x is row ${level}`);
      }
    }
  });
});
