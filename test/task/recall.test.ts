import assert from "node:assert/strict";
import { checkTasks, createTask } from "../../src/task/create_task.js";

const make = (sequence: number, options: Record<string, unknown>) =>
  createTask({ sequence }, { task: "recall", weight: 1, options }, 5, ".");

describe("recall", () => {
  it("lists distinct pairs, asks each key once and wants the value that was paired with it", async () => {
    const [pairs, vocab, sequence] = [8, 41, 64];
    const keys = 20;
    const { tokens, targets } = (await make(sequence, { pairs, vocab })).trainBatch(0, 50);
    for (let row = 0; row < 50; row++) {
      const line = tokens.slice(row * sequence, (row + 1) * sequence);
      const value = new Map<number, number>();
      for (let i = 0; i < pairs; i++) {
        assert.ok(line[2 * i]! >= 1 && line[2 * i]! <= keys);
        assert.ok(line[2 * i + 1]! > keys && line[2 * i + 1]! < vocab);
        value.set(line[2 * i]!, line[2 * i + 1]!);
      }
      assert.equal(value.size, pairs);
      assert.equal(new Set(value.values()).size, pairs);
      const asked: number[] = [];
      for (let t = 0; t < sequence; t++) {
        const target = targets[row * sequence + t]!;
        if (target < 0) continue;
        assert.ok(t >= 2 * pairs);
        assert.equal(target, value.get(line[t]!));
        assert.equal(line[t + 1], target); // shown right after, as in text
        asked.push(line[t]!);
      }
      assert.deepEqual(new Set(asked), new Set(value.keys()));
      assert.equal(asked.length, pairs);
      // Everything else after the pairs is filler.
      assert.equal(line.slice(2 * pairs).filter((token) => token !== 0).length, 2 * pairs);
    }
  });

  it("draws the distance of the first question by the power law", async () => {
    // One pair: slot i of S is drawn with probability i^(a-1) / sum. 20,000 rows; the first slots within 5 standard errors.
    const [sequence, a, rows] = [42, 0.1, 20_000];
    const slots = (sequence - 2) / 2;
    const { targets } = (await make(sequence, { pairs: 1, vocab: 8, power_a: a })).trainBatch(0, rows);
    const counts = new Array<number>(slots).fill(0);
    for (let row = 0; row < rows; row++) {
      const at = targets.slice(row * sequence, (row + 1) * sequence).findIndex((target) => target >= 0);
      counts[(at - 2) / 2]! += 1;
    }
    const weights = Array.from({ length: slots }, (_, i) => (i + 1) ** (a - 1));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    weights.forEach((weight, i) => {
      const p = weight / total;
      const error = Math.sqrt((p * (1 - p)) / rows);
      assert.ok(
        Math.abs(counts[i]! / rows - p) < 5 * error,
        `slot ${i}: ${counts[i]! / rows}, expected ${p}`,
      );
    });
  });

  it("draws every key and every value equally often", async () => {
    const { tokens } = (await make(16, { pairs: 4, vocab: 21 })).trainBatch(0, 5000);
    const counts = new Array<number>(21).fill(0);
    for (let row = 0; row < 5000; row++) {
      for (let i = 0; i < 8; i++) counts[tokens[row * 16 + i]!]! += 1;
    }
    // 10 keys and 10 values, 4 of each per row: 2000 expected; binomial standard deviation below 35.
    for (const count of counts.slice(1)) assert.ok(Math.abs(count - 2000) < 5 * 35, String(count));
  });

  it("says how large a vocab and a sequence the pairs need, at their places", () => {
    const spec = (options: Record<string, unknown>) => ({ task: "recall", weight: 1, options });
    const problems = checkTasks({
      sequence: 64,
      tasks: [spec({ pairs: 17, vocab: 34 }), spec({ pairs: 16, vocab: 33 })],
    });
    assert.deepEqual(
      problems.map(({ code, path, message }) => [code, path, message]),
      [
        ["LMX7003", "proxy.tasks[0].vocab", "Expected a vocab of at least 35 for 17 pairs, got 34"],
        ["LMX7003", "proxy.tasks[0].pairs", "Expected a sequence of at least 68 tokens for 17 pairs, got 64"],
      ],
    );
  });
});
