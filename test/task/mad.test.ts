// The six MAD tasks and ListOps against oracles that know only the rules: what a row tells about its targets is worked out
// again from the tokens alone.

import assert from "node:assert/strict";
import { createTask } from "../../src/task/create_task.js";
import type { Batch, Task } from "../../src/task/task.js";
import { refuses } from "../corpus/fixture.js";

type Options = Record<string, unknown>;
const make = (task: string, sequence: number, options: Options = {}, seed = 1): Promise<Task> =>
  createTask({ sequence }, { task, weight: 1, options }, seed, ".");

interface Row {
  readonly tokens: readonly number[];
  readonly targets: readonly number[];
}

function rowsOf(batch: Batch, sequence: number): Row[] {
  return Array.from({ length: batch.rows }, (_, row) => ({
    tokens: [...batch.tokens.slice(row * sequence, (row + 1) * sequence)],
    targets: [...batch.targets.slice(row * sequence, (row + 1) * sequence)],
  }));
}

const held = (task: Task, rows = 200): Row[] => rowsOf(task.evaluationBatch(0, rows), task.sequence);
const trained = (task: Task, step = 0, rows = 200): Row[] =>
  rowsOf(task.trainBatch(step, rows), task.sequence);

/** Training asks for every next token. */
function asksNextTokens({ tokens, targets }: Row): void {
  assert.deepEqual(targets, [...tokens.slice(1), -1]);
}

describe("context_recall", () => {
  it("has the published sizes by default", async () => {
    const task = await make("context_recall", 128);
    assert.equal(task.vocab, 16);
    assert.match(
      task.describe()[0]!,
      /64 pairs of 8 keys and 8 values; 512 held-out rows, .* right 12\.5% of the time/,
    );
  });

  it("asks in held-out rows for the value of every key seen before, which the row tells", async () => {
    const task = await make("context_recall", 64, { vocab: 20 });
    let asked = 0;
    for (const { tokens, targets } of held(task)) {
      const seen = new Map<number, number>();
      for (let i = 0; i < 64; i += 2) {
        const [key, value] = [tokens[i]!, tokens[i + 1]!];
        assert.ok(key < 10 && value >= 10 && value < 20);
        assert.equal(targets[i], seen.get(key) ?? -1);
        assert.equal(targets[i + 1], -1);
        if (seen.has(key)) {
          assert.equal(value, seen.get(key), "a key keeps its value");
          asked += 1;
        }
        seen.set(key, value);
      }
      assert.ok(targets[62]! >= 0, "the last pair repeats a key");
    }
    assert.ok(asked > 200 * 20);
  });

  it("asks for every next token in training", async () => {
    for (const row of trained(await make("context_recall", 32))) asksNextTokens(row);
  });

  it("uses every key and value about as often as any other", async () => {
    const counts = new Array(16).fill(0);
    for (const { tokens } of trained(await make("context_recall", 128), 3, 400))
      for (const t of tokens) counts[t] += 1;
    for (const count of counts) assert.ok(Math.abs(count / 3200 - 1) < 0.15, String(counts));
  });

  it("draws its rows from as many as train_rows says", async () => {
    const distinct = async (train_rows: number) => {
      const task = await make("context_recall", 32, { train_rows });
      return new Set([0, 1, 2, 3].flatMap((step) => trained(task, step).map(({ tokens }) => tokens.join())))
        .size;
    };
    assert.equal(await distinct(50), 50);
    assert.equal(await distinct(0), 800);
  });

  it("needs whole pairs", async () => {
    await refuses("LMX7003", ["even sequence"], () => make("context_recall", 33));
  });
});

describe("noisy_recall", () => {
  it("puts noise in place of pairs, and asks as in-context recall does", async () => {
    const task = await make("noisy_recall", 128, { noise: "40%" });
    assert.equal(task.vocab, 32);
    let [noise, pairs] = [0, 0];
    for (const { tokens, targets } of held(task)) {
      const seen = new Map<number, number>();
      for (let i = 0; i < 128; i += 2) {
        const [key, value] = [tokens[i]!, tokens[i + 1]!];
        pairs += 1;
        if (key >= 16) {
          assert.ok(value >= 16, "noise is a pair of noise tokens");
          assert.deepEqual([targets[i], targets[i + 1]], [-1, -1]);
          noise += 1;
          continue;
        }
        assert.ok(key < 8 && value >= 8 && value < 16);
        assert.equal(targets[i], seen.get(key) ?? -1);
        seen.set(key, value);
      }
      assert.ok(targets[126]! >= 0);
    }
    assert.ok(Math.abs(noise / pairs - (0.4 * 62) / 64) < 0.02, String(noise / pairs));
  });

  it("has a key to repeat even where nearly all is noise", async () => {
    for (const { targets } of held(await make("noisy_recall", 8, { noise: 0.99 }), 500))
      assert.ok(targets[6]! >= 0);
  });
});

describe("fuzzy_recall", () => {
  // Vocab 16: keys 0 to 6, values 7 to 14, blank 15.
  const kind = (token: number) => (token < 7 ? "k" : token < 15 ? "v" : ".");

  /** Splits a row into key and value motifs: keys and values alternate. */
  function motifs(
    tokens: readonly number[],
  ): { readonly key: string; readonly value: number[]; readonly at: number }[] {
    const start = tokens.findIndex((token) => token !== 15);
    const found = [];
    for (let i = start; i < tokens.length; ) {
      const key = [];
      while (i < tokens.length && kind(tokens[i]!) === "k") key.push(tokens[i++]!);
      const at = i;
      const value = [];
      while (i < tokens.length && kind(tokens[i]!) === "v") value.push(tokens[i++]!);
      found.push({ key: key.join(), value, at });
    }
    return found;
  }

  it("asks in held-out rows for every token of values whose key was there before", async () => {
    const task = await make("fuzzy_recall", 128);
    let asked = 0;
    for (const { tokens, targets } of held(task)) {
      const expected = new Array(128).fill(-1);
      const seen = new Map<string, number[]>();
      for (const { key, value, at } of motifs(tokens)) {
        const parts = key.split(",");
        assert.equal(parts.length, 3, "held-out keys have full length");
        assert.equal(new Set(parts).size, 3, "of distinct tokens");
        assert.ok(value.length >= 1 && value.length <= 3 && new Set(value).size === value.length);
        const before = seen.get(key);
        if (before !== undefined) {
          assert.deepEqual(value, before, "a key keeps its value");
          value.forEach((token, i) => {
            expected[at + i - 1] = token;
            asked += 1;
          });
        }
        seen.set(key, value);
      }
      assert.deepEqual(targets, expected);
      assert.ok(targets[126]! >= 0, "the last pair is one that the row tells");
      assert.ok(
        tokens.indexOf(tokens.find((t) => t !== 15)!) <= 128 - 1 && tokens.lastIndexOf(15) < 12,
        "rows are nearly full",
      );
    }
    assert.ok(asked > 300);
  });

  it("tells every row's question also where rows are as short as they may be", async () => {
    for (const sequence of [18, 19, 23, 31]) {
      for (const { tokens, targets } of held(await make("fuzzy_recall", sequence), 300)) {
        const all = motifs(tokens);
        const last = all.at(-1)!;
        assert.ok(all.slice(0, -1).some(({ key }) => key === last.key));
        assert.ok(targets.some((target) => target >= 0));
      }
    }
    await refuses("LMX7003", ["at least 18 tokens"], () => make("fuzzy_recall", 17));
    await refuses("LMX7003", ["vocab of at least 7"], () => make("fuzzy_recall", 64, { vocab: 6 }));
  });

  it("has keys of any length in training, and asks for every next token", async () => {
    const task = await make("fuzzy_recall", 64);
    const lengths = new Set<number>();
    for (const row of trained(task)) {
      asksNextTokens(row);
      for (const { key } of motifs(row.tokens)) lengths.add(key.split(",").length);
    }
    assert.deepEqual([...lengths].sort(), [1, 2, 3]);
  });
});

describe("memorization", () => {
  it("has one mapping for every seed, for training and held-out rows", async () => {
    const mapping = new Map<number, number>();
    for (const seed of [1, 2]) {
      const task = await make("memorization", 32, {}, seed);
      assert.equal(task.vocab, 256);
      for (const { tokens, targets } of [...held(task), ...trained(task)]) {
        for (let i = 0; i < 32; i += 2) {
          const [key, insert] = [tokens[i]!, tokens[i + 1]!];
          assert.ok(key < 127 && insert === 255);
          const value = targets[i + 1]!;
          assert.equal(targets[i], -1);
          assert.ok(value >= 127 && value < 255);
          assert.equal(mapping.get(key) ?? value, value);
          mapping.set(key, value);
        }
      }
    }
    assert.equal(mapping.size, 127, "every key is used");
    assert.equal(new Set(mapping.values()).size, 127, "values are distinct");
    assert.ok(
      [...mapping].some(([key, value]) => value !== key + 127),
      "and in no order",
    );
  });
});

describe("compression", () => {
  it("asks for every token once, by its place alone", async () => {
    const task = await make("compression", 63);
    assert.equal(task.vocab, 16 + 31);
    const orders = new Set<string>();
    for (const { tokens, targets } of [...held(task), ...trained(task)]) {
      const row = tokens.slice(0, 31);
      assert.ok(row.every((token) => token < 15));
      assert.equal(tokens[31], 15);
      const places = tokens.slice(32).map((token) => token - 16);
      assert.deepEqual(
        [...places].sort((a, b) => a - b),
        Array.from({ length: 31 }, (_, i) => i),
      );
      assert.deepEqual(targets, [...new Array(32).fill(-1), ...places.map((place) => row[place])]);
      orders.add(places.join());
    }
    assert.ok(orders.size > 300, "in an order of each row's own");
  });

  it("fills longer rows with the marker in front, and refuses shorter ones", async () => {
    const [{ tokens }] = held(await make("compression", 70), 1) as [Row];
    assert.deepEqual(tokens.slice(0, 7), new Array(7).fill(15));
    await refuses("LMX7003", ["at least 63 tokens"], () => make("compression", 62));
  });
});

describe("listops", () => {
  const operations = new Map<number, (values: number[]) => number>([
    [10, (values) => Math.min(...values)],
    [11, (values) => Math.max(...values)],
    [
      12,
      (values) => {
        // The median by counting: the mean of the two middle elements where there are two, rounded down.
        const rank = (n: number) =>
          [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].find((v) => values.filter((x) => x <= v).length > n)!;
        const n = values.length;
        return n % 2 === 1 ? rank((n - 1) / 2) : Math.floor((rank(n / 2 - 1) + rank(n / 2)) / 2);
      },
    ],
    [13, (values) => values.reduce((a, b) => a + b) % 10],
  ]);

  /** Evaluates by a stack, the way the expression is read. */
  function evaluate(tokens: readonly number[]): {
    readonly value: number;
    readonly depth: number;
    readonly args: number[];
  } {
    const stack: { readonly operation: number; readonly values: number[] }[] = [];
    const args: number[] = [];
    let [result, depth] = [-1, 1];
    const put = (value: number) => {
      if (stack.length > 0) stack.at(-1)!.values.push(value);
      else {
        assert.equal(result, -1, "one expression");
        result = value;
      }
    };
    for (const token of tokens) {
      if (token < 10) put(token);
      else if (token < 14) stack.push({ operation: token, values: [] });
      else {
        assert.equal(token, 14);
        const { operation, values } = stack.pop()!;
        args.push(values.length);
        put(operations.get(operation)!(values));
      }
      depth = Math.max(depth, stack.length + 1);
    }
    assert.equal(stack.length, 0, "every bracket is closed");
    return { value: result, depth, args };
  }

  for (const sequence of [64, 256, 1024]) {
    it(`asks for the value of the expression in rows of ${sequence}`, async () => {
      const task = await make("listops", sequence);
      const answers = new Array(10).fill(0);
      const seen = new Set<number>();
      let deepest = 0;
      for (const { tokens, targets } of [...held(task, 100), ...trained(task, 0, 100)]) {
        const start = tokens.lastIndexOf(16) + 1;
        const expression = tokens.slice(start, -1);
        assert.ok(tokens.slice(0, start).every((token) => token === 16));
        assert.equal(tokens.at(-1), 15);
        assert.ok(expression.length >= Math.floor((sequence - 1) / 4) && expression.length <= sequence - 1);
        const { value, depth, args } = evaluate(expression);
        assert.deepEqual(targets, [...new Array(sequence - 1).fill(-1), value]);
        assert.ok(depth <= 10 && args.every((count) => count >= 2 && count <= 10));
        deepest = Math.max(deepest, depth);
        for (const token of expression) seen.add(token);
        answers[value] += 1;
      }
      assert.equal(seen.size, 15, "all digits, operations and the bracket");
      assert.ok(deepest >= 4);
      assert.ok(answers.every((count) => count > 0));
    });
  }

  it("refuses shapes that hardly ever give the length wanted, instead of drawing for ever", async () => {
    await refuses("LMX7003", ["got none in 50,000 draws"], () => make("listops", 512, { max_args: 2 }));
    await refuses("LMX7003", ["sequence of at least 401"], () => make("listops", 300, { min_length: 200 }));
  });
});
