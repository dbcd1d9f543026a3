// MAD's in-context recall: key-value pairs in a row, drawn with replacement; held-out rows ask for the value of every key
// that was there before (pair_rows.ts).

import { accuracy, guessLevel, madPaper } from "./mad.js";
import { evaluationTokens, trainRows } from "./options.js";
import { pairRowWriter, pairShape, pairWords } from "./pair_rows.js";
import { rowTask } from "./row_task.js";
import { answerAccuracy } from "./rows.js";
import type { Task, TaskContext, TaskIssue, TaskKind, TaskOptions } from "./task.js";

const shapeOf = (options: TaskOptions, sequence: number) =>
  pairShape(options.vocab as number, 0, 0, sequence);

function create(options: TaskOptions, context: TaskContext): Task {
  const { sequence } = context;
  const shape = shapeOf(options, sequence);
  return rowTask(
    {
      name: "context_recall",
      vocab: options.vocab as number,
      primary: accuracy,
      identity: { task: "context_recall", version: 1, ...options },
      describe: (rows) => [
        `context_recall: ${sequence / 2} pairs of ${shape.keys} keys and ${shape.values} values; ${rows} held-out rows, ` +
          `a guess among the values is right ${guessLevel(shape.values)} of the time`,
      ],
      measure: answerAccuracy,
    },
    {
      ...context,
      evaluationTokens: options.evaluation_tokens as number,
      trainRows: options.train_rows as number,
    },
    pairRowWriter(shape, "all"),
    pairRowWriter(shape, "values"),
  );
}

/** Rows are whole pairs, and one pair can be repeated. */
export function checkPairs(sequence: number): readonly TaskIssue[] {
  if (sequence % 2 === 0 && sequence >= 4) return [];
  const message = `Expected an even sequence of at least 4 tokens, got ${sequence}`;
  return [
    {
      option: "sequence",
      message,
      help: ["a row is made of pairs, and the last one repeats an earlier one"],
    },
  ];
}

function example(options: TaskOptions, sequence: number): readonly string[] {
  const batch = create(options, { sequence, seed: 0, folder: "" }).evaluationBatch(0, 1);
  return [pairWords(shapeOf(options, sequence), batch.tokens, batch.targets)];
}

export const contextRecall: TaskKind = {
  name: "context_recall",
  title: "in-context recall (MAD)",
  measures:
    "Whether the model finds the value that a key had earlier in the same row. Few keys come often, so a small state can " +
    "hold them all; what is hard is to bind and to look up.",
  source: [
    `${madPaper}, task in-context-recall (vocab 16, length 128, 12,800 training rows, all repeated keys asked)`,
    "differs: rows are drawn from the training set with replacement instead of in epochs",
  ],
  options: [
    {
      name: "vocab",
      kind: "integer",
      default: 16,
      minimum: 4,
      maximum: 1_048_576,
      description: "Tokens in all: half keys, half values. Published: 16, 32, 64, 128.",
    },
    trainRows(12_800),
    evaluationTokens,
  ],
  primary: accuracy,
  vocab: (options) => options.vocab as number,
  check: (_, sequence) => checkPairs(sequence),
  create: async (options, context) => create(options, context),
  example,
};
