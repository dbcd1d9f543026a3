// MAD's memorization: one mapping from keys to values holds for the whole task, training and held-out rows alike; a row is
// keys, each followed by an insert token at which the value is due:  k7 ? k2 ? ...  Nothing in the row tells the value: it
// has to be in the weights. MAD, generate_memorization_instance; the mapping is fixed there too (seed 12345).

import { DistinctDraw } from "./draws.js";
import { accuracy, guessLevel, madPaper } from "./mad.js";
import { evaluationTokens, trainRows } from "./options.js";
import { RowRandom, streams } from "./row_random.js";
import { rowTask, type WriteRandomRow } from "./row_task.js";
import { answerAccuracy } from "./rows.js";
import type { Task, TaskContext, TaskIssue, TaskKind, TaskOptions } from "./task.js";

/** The last token asks; half of the others are keys, the rest values, distinct for distinct keys. */
function mappingOf(vocab: number): Int32Array {
  const keys = Math.floor((vocab - 1) / 2);
  const values = vocab - 1 - keys;
  const mapping = new Int32Array(keys);
  const random = new RowRandom(0, streams.task);
  random.start(0, 0);
  new DistinctDraw(values, keys).draw(random, keys, mapping);
  return mapping.map((value) => keys + value);
}

function rowWriter(vocab: number, sequence: number): WriteRandomRow {
  const mapping = mappingOf(vocab);
  return (random, tokens, targets, offset) => {
    for (let at = offset; at + 1 < offset + sequence; at += 2) {
      const key = random.below(mapping.length);
      tokens[at] = key;
      tokens[at + 1] = vocab - 1;
      targets[at + 1] = mapping[key]!;
    }
  };
}

function create(options: TaskOptions, context: TaskContext): Task {
  const vocab = options.vocab as number;
  const keys = Math.floor((vocab - 1) / 2);
  return rowTask(
    {
      name: "memorization",
      vocab,
      primary: accuracy,
      identity: { task: "memorization", version: 1, ...options },
      describe: (rows) => [
        `memorization: ${keys} facts; ${rows} held-out rows, a guess among the values is right ${guessLevel(vocab - 1 - keys)} of the time`,
      ],
      measure: answerAccuracy,
    },
    {
      ...context,
      evaluationTokens: options.evaluation_tokens as number,
      trainRows: options.train_rows as number,
    },
    rowWriter(vocab, context.sequence),
  );
}

function check(_: TaskOptions, sequence: number): readonly TaskIssue[] {
  if (sequence % 2 === 0) return [];
  const message = `Expected an even sequence, got ${sequence}`;
  return [{ option: "sequence", message, help: ["a row is keys, each followed by the token that asks"] }];
}

function example(options: TaskOptions, sequence: number): readonly string[] {
  const keys = Math.floor(((options.vocab as number) - 1) / 2);
  const length = Math.min(sequence, 16);
  const { tokens, targets } = create(options, { sequence: length, seed: 0, folder: "" }).trainBatch(0, 1);
  const words = Array.from(tokens, (token, i) =>
    targets[i]! < 0 ? `k${token + 1}` : `[? -> v${targets[i]! - keys + 1}]`,
  );
  return [words.join(" ")];
}

export const memorization: TaskKind = {
  name: "memorization",
  title: "memorization of facts (MAD)",
  measures:
    "Whether the weights can hold facts that no row tells: the mapping is the same in every row. MLPs are good at it; " +
    "sequence mixing does not help.",
  source: [
    `${madPaper}, task memorization (vocab 256, length 32, 256 training rows)`,
    "differs: rows are drawn from the training set with replacement instead of in epochs",
  ],
  options: [
    {
      name: "vocab",
      kind: "integer",
      default: 256,
      minimum: 3,
      maximum: 1_048_576,
      description: "Tokens in all: one that asks, then half keys and half values. Published: 256 to 8192.",
    },
    trainRows(256),
    evaluationTokens,
  ],
  primary: accuracy,
  vocab: (options) => options.vocab as number,
  check,
  create: async (options, context) => create(options, context),
  example,
};
