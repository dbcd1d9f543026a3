// Compression, after MAD, as a language model can be asked: random tokens, an end marker, then one query per place, in
// random order:  t5 t2 t9 | p3 p1 p2  ->  t9 t5 t2.  No answer is ever shown, and queries carry nothing but the place.
//
// NOT the same as MAD's task: there, a two-layer MLP reads the final state of the last token alone, so every layer must
// squeeze the row into one vector. A language model's head sees one token at a time, so here the queries are tokens, and a
// layer may use whatever it keeps: for recurrent layers that is their state, and compression is as forced as there; for
// attention it is the KV cache, which holds the row uncompressed. Scores of the two formulations are not comparable.

import { DistinctDraw } from "./draws.js";
import { accuracy, guessLevel, madPaper } from "./mad.js";
import { evaluationTokens, trainRows } from "./options.js";
import { rowTask, type WriteRandomRow } from "./row_task.js";
import { answerAccuracy } from "./rows.js";
import type { Task, TaskContext, TaskIssue, TaskKind, TaskOptions } from "./task.js";

/** Tokens: data 0 .. vocab - 2, the marker vocab - 1, places from vocab on. */
function rowWriter(options: TaskOptions, sequence: number): WriteRandomRow {
  const count = options.tokens_to_keep as number;
  const marker = (options.vocab as number) - 1;
  const order = new Int32Array(count);
  const draw = new DistinctDraw(count, count);
  return (random, tokens, targets, offset) => {
    const body = offset + sequence - (2 * count + 1);
    tokens.fill(marker, offset, body);
    for (let i = 0; i < count; i++) tokens[body + i] = random.below(marker);
    tokens[body + count] = marker;
    draw.draw(random, count, order);
    for (let i = 0; i < count; i++) {
      const query = body + count + 1 + i;
      tokens[query] = marker + 1 + order[i]!;
      targets[query] = tokens[body + order[i]!]!;
    }
  };
}

const vocabOf = (options: TaskOptions) => (options.vocab as number) + (options.tokens_to_keep as number);

function create(options: TaskOptions, context: TaskContext): Task {
  const kinds = (options.vocab as number) - 1;
  return rowTask(
    {
      name: "compression",
      vocab: vocabOf(options),
      primary: accuracy,
      identity: { task: "compression", version: 1, ...options },
      describe: (rows) => [
        `compression: ${options.tokens_to_keep} tokens of ${kinds} kinds, every place asked; ${rows} held-out rows, ` +
          `a guess is right ${guessLevel(kinds)} of the time`,
        "compression: queries after the row, not MAD's decoder of the last state: attention may look back",
      ],
      measure: answerAccuracy,
    },
    {
      ...context,
      evaluationTokens: options.evaluation_tokens as number,
      trainRows: options.train_rows as number,
    },
    rowWriter(options, context.sequence),
  );
}

function check(options: TaskOptions, sequence: number): readonly TaskIssue[] {
  const count = options.tokens_to_keep as number;
  if (sequence >= 2 * count + 1) return [];
  const message = `Expected a sequence of at least ${2 * count + 1} tokens to keep ${count}, got ${sequence}`;
  return [
    {
      option: "tokens_to_keep",
      message,
      help: ["a row holds the tokens, a marker, and one query for each of them"],
    },
  ];
}

function example(options: TaskOptions): readonly string[] {
  const few = { ...options, tokens_to_keep: 6 };
  const { tokens, targets } = create(few, { sequence: 13, seed: 0, folder: "" }).trainBatch(0, 1);
  const marker = (options.vocab as number) - 1;
  const words = Array.from(tokens, (token, i) =>
    token < marker ? `t${token + 1}` : token === marker ? "|" : `[p${token - marker} -> t${targets[i]! + 1}]`,
  );
  return [words.join(" ")];
}

export const compression: TaskKind = {
  name: "compression",
  title: "compression (after MAD)",
  measures:
    "How much of a row of random tokens can be read back from what the layers keep of it. For recurrent layers that is " +
    "their state; attention keeps the row itself in its cache, so this tells recurrent layers apart, not the two kinds.",
  source: [
    `${madPaper}, task compression (vocab 16, length 32 = 31 tokens and the marker, 12,800 training rows)`,
    "differs: MAD decodes the last token's final state alone with an MLP; here queries follow the row and any layer may use what it keeps (attention: its cache), so scores are not comparable with the published ones",
    "differs: no noise (mad-lab returns its inputs as targets, so its masking of noise has no effect)",
  ],
  options: [
    {
      name: "tokens_to_keep",
      kind: "integer",
      default: 31,
      minimum: 1,
      maximum: 65_536,
      description: "Tokens of a row that are asked for. Published: 31, 63, 127, 255.",
    },
    {
      name: "vocab",
      kind: "integer",
      default: 16,
      minimum: 3,
      maximum: 1_048_576,
      description: "Data tokens and the marker; places add tokens_to_keep more. Published: 16, 32, 64, 128.",
    },
    trainRows(12_800),
    evaluationTokens,
  ],
  primary: accuracy,
  vocab: vocabOf,
  check,
  create: async (options, context) => create(options, context),
  example,
};
