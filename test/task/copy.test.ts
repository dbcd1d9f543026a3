import assert from "node:assert/strict";
import { checkTasks, createTask } from "../../src/task/create_task.js";

describe("copy", () => {
  it("wants the data tokens in their order, at the blanks after the marker", async () => {
    const [sequence, count, rows] = [40, 6, 60];
    const task = await createTask(
      { sequence },
      { task: "copy", weight: 1, options: { tokens_to_copy: count } },
      9,
      ".",
    );
    const { tokens, targets } = task.trainBatch(0, rows);
    const places = new Set<number>();
    for (let row = 0; row < rows; row++) {
      const line = [...tokens.slice(row * sequence, (row + 1) * sequence)];
      const wanted = [...targets.slice(row * sequence, (row + 1) * sequence)];
      const body = line.slice(0, sequence - count - 1);
      const data = body.filter((token) => token >= 2);
      for (const [place, token] of body.entries()) if (token >= 2) places.add(place);
      assert.equal(data.length, count);
      assert.equal(line[sequence - count - 1], 1);
      assert.deepEqual(line.slice(sequence - count), new Array(count).fill(0));
      assert.deepEqual(wanted.slice(sequence - count), data);
      assert.ok(wanted.slice(0, sequence - count).every((target) => target === -1));
    }
    assert.equal(places.size, sequence - count - 1); // every place is used by some row
  });

  it("says how long a sequence the tokens need", () => {
    const tasks = [
      { task: "copy", weight: 1, options: { tokens_to_copy: 16 } },
      { task: "copy", weight: 1, options: { tokens_to_copy: 15 } },
    ];
    assert.deepEqual(
      checkTasks({ sequence: 32, tasks }).map(({ message }) => message),
      ["Expected a sequence of at least 33 tokens to copy 16, got 32"],
    );
  });
});
