// MAD's fuzzy in-context recall: keys and values are motifs of one to three distinct tokens, so what belongs together has
// to be found first:  k2 k5 v1 | k4 v3 v2 | k2 k5 v1 .  Held-out rows have keys of the longest motif only, as there. The
// last pair repeats one that lies earlier in the row; rows are filled up on the left with one blank token.
// MAD, generate_fuzzy_in_context_recall_instance with multi_query.

import { DistinctDraw } from "./draws.js";
import { accuracy, askNextTokens, guessLevel, madPaper } from "./mad.js";
import { evaluationTokens, trainRows } from "./options.js";
import { rowTask, type WriteRandomRow } from "./row_task.js";
import { answerAccuracy } from "./rows.js";
import type { Task, TaskContext, TaskIssue, TaskKind, TaskOptions } from "./task.js";

interface FuzzyShape {
  readonly sequence: number;
  readonly keys: number;
  readonly values: number;
  readonly keyMotif: number;
  readonly valueMotif: number;
}

/** The last token is the blank; half of the others are keys, the rest values. */
function shapeOf(options: TaskOptions, sequence: number): FuzzyShape {
  const usable = (options.vocab as number) - 1;
  const keys = Math.floor(usable / 2);
  return {
    sequence,
    keys,
    values: usable - keys,
    keyMotif: options.key_motif as number,
    valueMotif: options.value_motif as number,
  };
}

/** @param ask "values" marks the values of keys seen before, keys at full length; "all" every next token, any length. */
function rowWriter(shape: FuzzyShape, ask: "values" | "all"): WriteRandomRow {
  const { sequence, keys, values, keyMotif, valueMotif } = shape;
  const blank = keys + values;
  const longest = keyMotif + valueMotif;
  const keyDraw = new DistinctDraw(keys, keyMotif);
  const valueDraw = new DistinctDraw(values, valueMotif);
  const key = new Int32Array(keyMotif);
  const value = new Int32Array(valueMotif);
  // The row, grown from its first pair on and moved to the right end of its place at last.
  const row = new Int32Array(sequence + longest);
  /** By the key's number: where in the row its value lies, and how long it is. */
  const places = new Map<number, number>();
  return (random, tokens, targets, offset) => {
    let length = 0;
    const asked: number[] = [];
    const drawLength = (most: number, full: boolean) => (full ? most : 1 + random.below(most));
    const put = (motif: Int32Array, from: number, count: number) => {
      for (let i = 0; i < count; i++) row[length++] = motif[from + i]!;
    };
    places.clear();
    // The pair that is asked last: drawn first, so that its place is known.
    const probeKeyLength = drawLength(keyMotif, ask === "values");
    const probeKey = new Int32Array(probeKeyLength);
    keyDraw.draw(random, probeKeyLength, probeKey);
    const probeNumber = numberOf(probeKey, probeKeyLength, keys);
    const probeValueLength = drawLength(valueMotif, false);
    const probeValue = new Int32Array(probeValueLength);
    valueDraw.draw(random, probeValueLength, probeValue);
    for (let i = 0; i < probeValueLength; i++) probeValue[i]! += keys;
    const append = (
      motif: Int32Array,
      count: number,
      number: number,
      drawn: Int32Array,
      drawnCount: number,
    ) => {
      put(motif, 0, count);
      const place = places.get(number);
      if (place === undefined) {
        places.set(number, length * (valueMotif + 1) + drawnCount);
        put(drawn, 0, drawnCount);
        return;
      }
      const from = Math.floor(place / (valueMotif + 1));
      const known = place % (valueMotif + 1);
      for (let i = 0; i < known; i++) asked.push(length + i);
      put(row, from, known);
    };
    // Filled until another pair of any length might not fit beside the last one.
    const room = sequence - probeKeyLength - probeValueLength - longest;
    // Early enough to be met: pairs are at most `longest` apart. (mad-lab may miss it, and then asks for what the row
    // does not tell.)
    const probeAt = random.below(room - longest + 1);
    while (length <= room) {
      if (length >= probeAt && !places.has(probeNumber)) {
        append(probeKey, probeKeyLength, probeNumber, probeValue, probeValueLength);
        continue;
      }
      const keyLength = drawLength(keyMotif, ask === "values");
      keyDraw.draw(random, keyLength, key);
      const valueLength = drawLength(valueMotif, false);
      valueDraw.draw(random, valueLength, value);
      for (let i = 0; i < valueLength; i++) value[i]! += keys;
      const number = numberOf(key, keyLength, keys);
      if (number === probeNumber) append(key, keyLength, number, probeValue, probeValueLength);
      else append(key, keyLength, number, value, valueLength);
    }
    append(probeKey, probeKeyLength, probeNumber, probeValue, probeValueLength);
    const start = offset + sequence - length;
    tokens.fill(blank, offset, start);
    for (let i = 0; i < length; i++) tokens[start + i] = row[i]!;
    if (ask === "all") askNextTokens(tokens, targets, offset, sequence);
    else for (const at of asked) targets[start + at - 1] = row[at]!;
  };
}

/** A motif as one number: digits in base keys + 1, none of them 0; up to 4 of 12 bits, so it is exact. */
function numberOf(motif: Int32Array, length: number, keys: number): number {
  let number = 0;
  for (let i = 0; i < length; i++) number = number * (keys + 1) + motif[i]! + 1;
  return number;
}

function create(options: TaskOptions, context: TaskContext): Task {
  const shape = shapeOf(options, context.sequence);
  return rowTask(
    {
      name: "fuzzy_recall",
      vocab: options.vocab as number,
      primary: accuracy,
      identity: { task: "fuzzy_recall", version: 1, ...options },
      describe: (rows) => [
        `fuzzy_recall: keys of up to ${shape.keyMotif} of ${shape.keys} tokens, values of up to ${shape.valueMotif} of ` +
          `${shape.values}; ${rows} held-out rows, a guess among the value tokens is right ${guessLevel(shape.values)} of the time`,
      ],
      measure: answerAccuracy,
    },
    {
      ...context,
      evaluationTokens: options.evaluation_tokens as number,
      trainRows: options.train_rows as number,
    },
    rowWriter(shape, "all"),
    rowWriter(shape, "values"),
  );
}

function check(options: TaskOptions, sequence: number): readonly TaskIssue[] {
  const { keys, values, keyMotif, valueMotif } = shapeOf(options, sequence);
  const issues: TaskIssue[] = [];
  if (keys < keyMotif || values < valueMotif) {
    const need = 2 * Math.max(keyMotif, valueMotif) + 1;
    const message = `Expected a vocab of at least ${need} for motifs of ${keyMotif} and ${valueMotif} distinct tokens, got ${options.vocab}`;
    issues.push({
      option: "vocab",
      message,
      help: ["one token is blank; half of the rest are keys, half values"],
    });
  }
  const least = 3 * (keyMotif + valueMotif);
  if (sequence < least) {
    const message = `Expected a sequence of at least ${least} tokens, got ${sequence}`;
    issues.push({
      option: "sequence",
      message,
      help: ["a row has the pair it asks for twice, and another one"],
    });
  }
  return issues;
}

/** Blanks as dots, key tokens as k1, value tokens as v1; asked places in brackets with their answer. */
function example(options: TaskOptions, sequence: number): readonly string[] {
  const { keys, values } = shapeOf(options, sequence);
  const { tokens, targets } = create(options, { sequence, seed: 0, folder: "" }).evaluationBatch(0, 1);
  const word = (token: number) =>
    token < keys ? `k${token + 1}` : token < keys + values ? `v${token - keys + 1}` : ".";
  const words = Array.from(tokens, (token, i) =>
    targets[i]! < 0 ? word(token) : `[${word(token)} -> ${word(targets[i]!)}]`,
  );
  return [words.join(" ")];
}

export const fuzzyRecall: TaskKind = {
  name: "fuzzy_recall",
  title: "fuzzy in-context recall (MAD)",
  measures:
    "In-context recall where a key is several tokens long, and no token is a key by itself: whether the model composes " +
    "neighbouring tokens before it binds and looks up. Short convolutions help.",
  source: [
    `${madPaper}, task fuzzy-in-context-recall (vocab 16, length 128, motifs of up to 3, 12,800 training rows, held-out keys at full length)`,
    "differs: the pair that is asked last is always in the row before (mad-lab may leave it out); rows are filled as far as they go, and drawn from the training set with replacement",
  ],
  options: [
    {
      name: "vocab",
      kind: "integer",
      default: 16,
      minimum: 3,
      maximum: 8_192,
      description: "Tokens in all: one blank, then half keys and half values. Published: 16, 32, 64, 128.",
    },
    {
      name: "key_motif",
      kind: "integer",
      default: 3,
      minimum: 1,
      maximum: 4,
      description: "Tokens of the longest key.",
    },
    {
      name: "value_motif",
      kind: "integer",
      default: 3,
      minimum: 1,
      maximum: 4,
      description: "Tokens of the longest value.",
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
