// Multi-query associative recall (MQAR). A row lists `pairs` key-value pairs, then asks every key once, in slots whose
// distance from the pairs follows a power law:  k1 v1 k2 v2 ... | . . k2 v2 . . . k1 v1 .   The value is the target at
// the queried key and is shown right after it, as in text; nothing else is counted. Keys, values and the filler token 0
// are disjoint, so neither filler nor an answer can pass for a new binding.
// Arora et al., "Zoology", arXiv 2312.04927, and HazyResearch/zoology `multiquery_ar`: slot i of the queries has weight
// a * i^(a-1). Differences: the answer is shown after the query and filler is one blank token (there: random tokens).

import { DistinctDraw, WeightedDraw } from "./draws.js";
import { evaluationTokens } from "./options.js";
import type { RowRandom } from "./row_random.js";
import { rowTask } from "./row_task.js";
import { answerAccuracy } from "./rows.js";
import type { PrimaryMetric, Task, TaskContext, TaskIssue, TaskKind, TaskOptions } from "./task.js";

const primary: PrimaryMetric = { name: "accuracy", direction: "higher", title: "accuracy" };

interface Shape {
  readonly pairs: number;
  readonly vocab: number;
  readonly power: number;
  readonly sequence: number;
  /** Token 0 is filler, 1..keys are keys, the rest are values. */
  readonly keys: number;
}

function shapeOf(options: TaskOptions, sequence: number): Shape {
  const vocab = options.vocab as number;
  const keys = Math.floor((vocab - 1) / 2);
  return { pairs: options.pairs as number, vocab, power: options.power_a as number, sequence, keys };
}

/** Makes the function that writes a row from the row's random numbers. */
function rowWriter(shape: Shape) {
  const { pairs, vocab, sequence, keys: keyCount, power } = shape;
  const valueCount = vocab - 1 - keyCount;
  const slots = Math.floor((sequence - 2 * pairs) / 2);
  const keyDraw = new DistinctDraw(keyCount, pairs);
  const valueDraw = new DistinctDraw(valueCount, pairs);
  const slotDraw = new WeightedDraw(Float64Array.from({ length: slots }, (_, i) => (i + 1) ** (power - 1)));
  const keys = new Int32Array(pairs);
  const values = new Int32Array(pairs);
  const chosen = new Int32Array(pairs);
  return (random: RowRandom, tokens: Int32Array, targets: Int32Array, offset: number) => {
    keyDraw.draw(random, pairs, keys);
    valueDraw.draw(random, pairs, values);
    slotDraw.draw(random, pairs, chosen);
    const queries = offset + 2 * pairs;
    for (let i = 0; i < pairs; i++) {
      const key = 1 + keys[i]!;
      const value = 1 + keyCount + values[i]!;
      tokens[offset + 2 * i] = key;
      tokens[offset + 2 * i + 1] = value;
      const query = queries + 2 * chosen[i]!;
      tokens[query] = key;
      tokens[query + 1] = value;
      targets[query] = value;
    }
  };
}

function check(options: TaskOptions, sequence: number): readonly TaskIssue[] {
  const { pairs, vocab, keys } = shapeOf(options, sequence);
  const issues: TaskIssue[] = [];
  if (keys < pairs) {
    issues.push({
      option: "vocab",
      message: `Expected a vocab of at least ${2 * pairs + 1} for ${pairs} pairs, got ${vocab}`,
      help: ["token 0 is filler; half of the rest are keys, half are values, distinct within a row"],
    });
  }
  if (sequence < 4 * pairs) {
    issues.push({
      option: "pairs",
      message: `Expected a sequence of at least ${4 * pairs} tokens for ${pairs} pairs, got ${sequence}`,
      help: ["a row lists every pair (2 tokens) and asks every key (2 tokens)"],
    });
  }
  return issues;
}

function create(options: TaskOptions, context: TaskContext): Task {
  const shape = shapeOf(options, context.sequence);
  const { sequence, vocab, pairs } = shape;
  return rowTask(
    {
      name: "recall",
      vocab,
      primary,
      identity: { task: "recall", version: 1, ...options },
      describe: (evaluationRows) => [
        `recall: ${pairs} pairs in ${sequence} tokens, vocab ${vocab}; ${evaluationRows} held-out rows, ` +
          `a guess among the row's values is right ${((1 / pairs) * 100).toFixed(1)}% of the time`,
      ],
      measure: answerAccuracy,
    },
    { ...context, evaluationTokens: options.evaluation_tokens as number },
    rowWriter(shape),
  );
}

/** Keys spelled k1, k2, ...; values v1, v2, ...; filler as a dot; asked positions in brackets with their answer. */
function example(options: TaskOptions, sequence: number): readonly string[] {
  const { keys } = shapeOf(options, sequence);
  const batch = create(options, { sequence, seed: 0, folder: "" }).trainBatch(0, 1);
  const words = Array.from(batch.tokens, (token, i) => {
    const word = token === 0 ? "." : token <= keys ? `k${token}` : `v${token - keys}`;
    return batch.targets[i]! < 0 ? word : `[${word} -> v${batch.targets[i]! - keys}]`;
  });
  return [words.join(" ")];
}

export const recall: TaskKind = {
  name: "recall",
  title: "multi-query associative recall",
  measures:
    "Whether the model can look up, anywhere later in the sequence, what it was told earlier. Attention does it with " +
    "one comparison per key; a recurrent state must hold every pair, so accuracy falls once pairs outgrow the state.",
  source: [
    "Arora et al., Zoology: Measuring and Improving Recall in Efficient Language Models, arXiv 2312.04927",
    "HazyResearch/zoology multiquery_ar (pairs first, every key asked once, power-law gaps with a = 0.01, distinct keys and values)",
    "differs: the answer follows its query as it would in text, and filler is one blank token instead of random tokens",
  ],
  options: [
    {
      name: "pairs",
      kind: "integer",
      default: 16,
      minimum: 1,
      maximum: 65_536,
      description: "Key-value pairs to remember; each key is asked once.",
    },
    {
      name: "vocab",
      kind: "integer",
      default: 256,
      minimum: 3,
      maximum: 1_048_576,
      description: "Tokens in all: one filler token, then half keys and half values.",
    },
    {
      name: "power_a",
      kind: "number",
      default: 0.01,
      minimum: 0.001,
      maximum: 1,
      description: "Exponent of the power law of gaps: small asks soon after the pairs, 1 asks anywhere.",
    },
    evaluationTokens,
  ],
  primary,
  vocab: (options) => options.vocab as number,
  check,
  create: async (options, context) => create(options, context),
  example,
};
