// MAD's noisy in-context recall: in-context recall in which a share of the pairs is noise from tokens of its own, to be
// passed over (pair_rows.ts).

import { checkPairs } from "./context_recall.js";
import { accuracy, guessLevel, madPaper } from "./mad.js";
import { evaluationTokens, trainRows } from "./options.js";
import { pairRowWriter, pairShape, pairWords } from "./pair_rows.js";
import { rowTask } from "./row_task.js";
import { answerAccuracy } from "./rows.js";
import type { Task, TaskContext, TaskIssue, TaskKind, TaskOptions } from "./task.js";

const shapeOf = (options: TaskOptions, sequence: number) =>
  pairShape(options.vocab as number, options.noise_vocab as number, options.noise as number, sequence);

function create(options: TaskOptions, context: TaskContext): Task {
  const shape = shapeOf(options, context.sequence);
  const percent = Math.round(100 * shape.noiseShare);
  return rowTask(
    {
      name: "noisy_recall",
      vocab: options.vocab as number,
      primary: accuracy,
      identity: { task: "noisy_recall", version: 1, ...options },
      describe: (rows) => [
        `noisy_recall: ${context.sequence / 2} pairs of ${shape.keys} keys and ${shape.values} values, ${percent}% of them ` +
          `noise of ${shape.noise} kinds; ${rows} held-out rows, a guess among the values is right ${guessLevel(shape.values)} of the time`,
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

function check(options: TaskOptions, sequence: number): readonly TaskIssue[] {
  const { keys, noise } = shapeOf(options, sequence);
  if (keys >= 2) return checkPairs(sequence);
  const message = `Expected a vocab of at least ${noise + 4} with ${noise} noise tokens, got ${options.vocab}`;
  return [
    { option: "vocab", message, help: ["what is not noise is half keys, half values"] },
    ...checkPairs(sequence),
  ];
}

function example(options: TaskOptions, sequence: number): readonly string[] {
  const batch = create(options, { sequence, seed: 0, folder: "" }).evaluationBatch(0, 1);
  return [pairWords(shapeOf(options, sequence), batch.tokens, batch.targets)];
}

export const noisyRecall: TaskKind = {
  name: "noisy_recall",
  title: "noisy in-context recall (MAD)",
  measures:
    "In-context recall among tokens that mean nothing: whether the model keeps them out of what it remembers. A state that " +
    "takes in everything fills up with noise.",
  source: [
    `${madPaper}, task noisy-in-context-recall (vocab 32 of which 16 noise, length 128, 20% noise, 12,800 training rows)`,
    "differs: at least one pair before the last is never noise (mad-lab may pick the last one and fail); rows are drawn from the training set with replacement",
  ],
  options: [
    {
      name: "vocab",
      kind: "integer",
      default: 32,
      minimum: 5,
      maximum: 1_048_576,
      description: "Tokens in all, noise included. Published: 32, 48, 80, 144.",
    },
    {
      name: "noise_vocab",
      kind: "integer",
      default: 16,
      minimum: 1,
      maximum: 1_048_576,
      description: "Tokens that are noise.",
    },
    {
      name: "noise",
      kind: "share",
      default: 0.2,
      minimum: 0,
      maximum: 0.99,
      description: "Share of pairs that are noise. Published: 20%, 40%, 60%, 80%.",
    },
    trainRows(12_800),
    evaluationTokens,
  ],
  primary: accuracy,
  vocab: (options) => options.vocab as number,
  check,
  create: async (options, context) => create(options, context),
  example,
};
