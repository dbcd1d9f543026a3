import assert from "node:assert/strict";
import { checkTasks, createTask } from "../../src/task/create_task.js";
import type { Batch } from "../../src/task/task.js";

// Token ids as the task documents them: pad, end of line, colon, mark, ten digits, names.
const [pad, endOfLine, colon, mark] = [0, 1, 2, 3];
const sequence = 128;

const make = (order: string, options: Record<string, unknown> = {}) => {
  const all = { entries: 8, digits: 5, questions: 3, order, ...options };
  return createTask({ sequence }, { task: "phonebook", weight: 1, options: all }, 5, ".");
};

interface Page {
  readonly said: readonly string[];
  readonly book: ReadonlyMap<string, string>;
  readonly answers: readonly (readonly [string, string])[];
}

/** Reads a row back: sections between marks, lines between ends of line. */
function read(batch: Batch, row: number, order: string): Page {
  const line = [...batch.tokens.slice(row * sequence, (row + 1) * sequence)];
  const used = line.slice(0, line.findLastIndex((token) => token !== pad) + 1);
  const sections: number[][][] = [[[]]];
  for (const token of used) {
    if (token === mark) sections.push([[]]);
    else if (token === endOfLine) sections.at(-1)!.push([]);
    else sections.at(-1)!.at(-1)!.push(token);
  }
  const entries = (lines: number[][]) =>
    lines
      .filter((tokens) => tokens.length > 0)
      .map((tokens): readonly [string, string] => {
        assert.equal(tokens[2], colon);
        return [tokens.slice(0, 2).join(), tokens.slice(3).join()];
      });
  const [said, book, answers] = order === "reversed" ? sections : [[], ...sections];
  const names = said!.filter((tokens) => tokens.length > 0).map((tokens) => tokens.join());
  return { said: names, book: new Map(entries(book!)), answers: entries(answers!) };
}

describe("phonebook", () => {
  for (const order of ["standard", "reversed"]) {
    it(`asks, ${order}, for numbers that the book holds, and counts their digits only`, async () => {
      const batch = (await make(order)).trainBatch(0, 80);
      const sizes = new Set<number>();
      for (let row = 0; row < 80; row++) {
        const { said, book, answers } = read(batch, row, order);
        sizes.add(book.size);
        assert.equal(answers.length, Math.min(3, book.size));
        for (const [name, number] of answers) assert.equal(book.get(name), number);
        assert.equal(new Set(answers.map(([name]) => name)).size, answers.length);
        if (order === "reversed")
          assert.deepEqual(
            said,
            answers.map(([name]) => name),
          );
        const wanted = [...batch.targets.slice(row * sequence, (row + 1) * sequence)].filter(
          (target) => target >= 0,
        );
        assert.deepEqual(
          wanted,
          answers.flatMap(([, number]) => number.split(",").map(Number)),
        );
      }
      assert.deepEqual(sizes, new Set([1, 2, 3, 4, 5, 6, 7, 8]));
    });
  }

  it("predicts each digit from the token before it", async () => {
    const { tokens, targets } = (await make("standard")).trainBatch(0, 20);
    targets.forEach((target, t) => {
      if (target >= 0) assert.equal(tokens[t + 1], target);
    });
  });

  it("asks for entries at any place of the book", async () => {
    const batch = (await make("standard", { questions: 1 })).evaluationBatch(0, 256);
    const places = new Set<number>();
    for (let row = 3; row < batch.rows; row += 4) {
      const { book, answers } = read(batch, row, "standard");
      assert.equal(book.size, 8);
      places.add([...book.keys()].indexOf(answers[0]![0]));
    }
    assert.equal(places.size, 8);
  });

  it("counts a number only if every digit is right, and reports by number of entries", async () => {
    const task = await make("standard", { evaluation_tokens: 8 * sequence, questions: 2 });
    const batch = task.evaluationBatch(0, 8);
    // Rows have 2, 4, 6, 8 entries and two questions. Wrong: one digit of the first answer of every row with 6 entries.
    const correct = Uint8Array.from(batch.targets, (target) => (target >= 0 ? 1 : 0));
    for (const row of [2, 6]) {
      correct[row * sequence + batch.targets.slice(row * sequence).findIndex((target) => target >= 0) + 3] =
        0;
    }
    const metrics = task.measure([{ batch, loss: new Float32Array(batch.targets.length), correct }]);
    assert.deepEqual(metrics.byEntries, { "2": 1, "4": 1, "6": 0.5, "8": 1 });
    assert.equal(metrics.accuracy, 14 / 16);
  });

  it("says how long a sequence the book needs", () => {
    const options = { entries: 8, digits: 5, questions: 3, order: "reversed" };
    const check = (length: number) =>
      checkTasks({ sequence: length, tasks: [{ task: "phonebook", weight: 1, options }] });
    // (8 + 3) lines of 9 tokens, two marks, three names of 3 tokens
    assert.deepEqual(check(110), []);
    assert.equal(check(109)[0]!.message, "Expected a sequence of at least 110 tokens for 8 entries, got 109");
  });
});
