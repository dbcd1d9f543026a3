// What every task promises, whichever it is.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTask, taskVocab } from "../../src/task/create_task.js";
import { taskKinds } from "../../src/task/registry.js";
import type { Batch, Task } from "../../src/task/task.js";

const sequence = 64;
const options: Record<string, Record<string, unknown>> = {
  text: { files: ["corpus.txt"] },
  recall: { pairs: 8, vocab: 64 },
  copy: { tokens_to_copy: 8 },
  listops: { evaluation_tokens: 65_536 },
  phonebook: { entries: 4, digits: 4, questions: 2 },
};

const evaluated = (batch: Batch, right: (index: number) => boolean) => ({
  batch,
  loss: Float32Array.from(batch.targets, (target) => (target < 0 ? 0 : 0.5)),
  correct: Uint8Array.from(batch.targets, (target, index) => (target >= 0 && right(index) ? 1 : 0)),
});

function heldOut(task: Task, rows: number): Batch[] {
  return Array.from({ length: task.evaluationBatches(rows) }, (_, index) =>
    task.evaluationBatch(index, rows),
  );
}

describe("every task", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "layermix-task-"));
    // Letters of a linear congruential generator: no stretch of 64 bytes comes twice.
    let state = 1;
    const bytes = Uint8Array.from({ length: 70_000 }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return 97 + (state >>> 27);
    });
    writeFileSync(join(folder, "corpus.txt"), bytes);
  });
  after(() => rmSync(folder, { recursive: true }));

  const make = (name: string, seed: number, extra: Record<string, unknown> = {}) =>
    createTask(
      { sequence },
      { task: name, weight: 1, options: { ...options[name], ...extra } },
      seed,
      folder,
    );

  for (const { name } of taskKinds) {
    describe(name, () => {
      it("gives the same batch for the same seed and step, in any order and by another object", async () => {
        const first = await make(name, 3);
        const forward = [0, 1, 2, 3].map((step) => first.trainBatch(step, 5));
        const backward = [3, 2, 1, 0].map((step) => first.trainBatch(step, 5)).reverse();
        const other = await make(name, 3);
        assert.deepEqual(backward, forward);
        assert.deepEqual(
          [0, 1, 2, 3].map((step) => other.trainBatch(step, 5)),
          forward,
        );
      });

      it("gives different batches for other seeds, steps and rows", async () => {
        const task = await make(name, 3);
        const { tokens } = task.trainBatch(0, 2);
        assert.notDeepEqual((await make(name, 4)).trainBatch(0, 2).tokens, tokens);
        assert.notDeepEqual(task.trainBatch(1, 2).tokens, tokens);
        assert.notDeepEqual(tokens.slice(0, sequence), tokens.slice(sequence));
      });

      it("gives a row that does not depend on how many rows the batch has", async () => {
        const task = await make(name, 3);
        assert.deepEqual(task.trainBatch(7, 8).tokens.slice(0, 3 * sequence), task.trainBatch(7, 3).tokens);
      });

      it("keeps tokens and targets below its vocab, the one known before it is made", async () => {
        const task = await make(name, 1);
        const batch = task.trainBatch(0, 16);
        assert.equal(batch.tokens.length, 16 * sequence);
        assert.ok(batch.tokens.every((token) => token >= 0 && token < task.vocab));
        assert.ok(batch.targets.every((target) => target >= -1 && target < task.vocab));
        assert.ok(batch.targets.some((target) => target >= 0));
        const known = taskVocab({ sequence }, { task: name, weight: 1, options: options[name] ?? {} });
        if (known !== undefined) assert.equal(known, task.vocab);
      });

      it("measures on the same held-out rows for every seed, whatever the batch", async () => {
        const [one, two] = [await make(name, 1), await make(name, 2)];
        const join = (batches: Batch[]) => batches.flatMap((batch) => [...batch.tokens, ...batch.targets]);
        const tokens = (batches: Batch[]) => batches.flatMap((batch) => [...batch.tokens]);
        assert.deepEqual(join(heldOut(one, 7)), join(heldOut(two, 7)));
        assert.deepEqual(tokens(heldOut(one, 7)), tokens(heldOut(one, 32)));
        const rows = heldOut(one, 7).reduce((sum, batch) => sum + batch.rows, 0);
        assert.equal(rows, one.evaluationRows);
        assert.throws(() => one.evaluationBatch(one.evaluationBatches(7), 7), RangeError);
      });

      it("never trains on a held-out row", async () => {
        const task = await make(name, 1);
        const rowsOf = (batch: Batch) =>
          Array.from({ length: batch.rows }, (_, row) =>
            batch.tokens.slice(row * sequence, (row + 1) * sequence).join(),
          );
        const held = new Set(heldOut(task, 16).flatMap(rowsOf));
        const trained = Array.from({ length: 50 }, (_, step) => rowsOf(task.trainBatch(step, 8))).flat();
        assert.equal(trained.filter((row) => held.has(row)).length, 0);
      });

      it("measures perfect answers, none, and the mean loss over what is asked", async () => {
        const task = await make(name, 1, { evaluation_tokens: 1024 });
        const batches = heldOut(task, 5);
        const perfect = task.measure(batches.map((batch) => evaluated(batch, () => true)));
        assert.equal(perfect.loss, 0.5);
        if (task.primary.name === "bitsPerByte") {
          assert.ok(Math.abs(perfect.bitsPerByte! - 0.5 / Math.log(2)) < 1e-15);
        } else {
          assert.equal(perfect.accuracy, 1);
          assert.equal(task.measure(batches.map((batch) => evaluated(batch, () => false))).accuracy, 0);
        }
      });

      it("identifies itself by everything that changes its data and nothing else", async () => {
        const identity = async (seed: number, extra = {}) =>
          JSON.stringify((await make(name, seed, extra)).identity);
        assert.equal(await identity(1), await identity(2));
        assert.notEqual(await identity(1), await identity(1, { evaluation_tokens: 128 }));
      });
    });
  }
});
