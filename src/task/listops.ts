// ListOps: nested lists of MIN, MAX, MED (median, rounded down) and SM (sum modulo 10) over digits, to be evaluated:
//   [MAX 2 9 [MIN 4 7 ] 0 ] =   ->  9.  One answer per row, read after the equals sign; nothing else is asked, in training
// neither, as in the classification task it is. Tay et al., "Long Range Arena", arXiv 2011.04006, and its generator: a node
// above the depth limit is a digit with probability 3/4, else an operation with 2 to 10 arguments; expressions are drawn
// until their length (operation with its closing bracket: 2, digit: 1) lies between the limits. Nangia and Bowman,
// arXiv 1804.06028.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { accuracy } from "./mad.js";
import { type TaskOption, trainRows } from "./options.js";
import { RowRandom, streams } from "./row_random.js";
import { rowTask, type WriteRandomRow } from "./row_task.js";
import { answerAccuracy } from "./rows.js";
import type { Task, TaskContext, TaskIssue, TaskKind, TaskOptions } from "./task.js";

/** Digits are their own tokens; then the operations, the closing bracket, the equals sign and the blank. */
export const listopsTokens = { MIN: 10, MAX: 11, MED: 12, SM: 13, close: 14, equals: 15, blank: 16 } as const;
const vocab = 17;
const operations = [listopsTokens.MIN, listopsTokens.MAX, listopsTokens.MED, listopsTokens.SM] as const;
const digitShare = 0.75;
const rareAttempts = 50_000;

interface Limits {
  readonly depth: number;
  readonly args: number;
  /** Tokens of an expression, without equals sign: at least, at most. */
  readonly least: number;
  readonly most: number;
}

/** LRA draws lengths of 500 to 2000: a quarter of the longest, unless the task says otherwise. */
function limitsOf(options: TaskOptions, sequence: number): Limits {
  const most = sequence - 1;
  const least = (options.min_length as number) || Math.max(1, Math.floor(most / 4));
  return { depth: options.max_depth as number, args: options.max_args as number, least, most };
}

/**
 * Appends a random expression to `out`, whose first token is at depth 1; gives its value, or undefined once it is longer
 * than it may be.
 */
function appendTree(random: RowRandom, limits: Limits, depth: number, out: number[]): number | undefined {
  if (out.length > limits.most) return undefined;
  if (depth >= limits.depth || random.fraction() < digitShare) {
    const digit = random.below(10);
    out.push(digit);
    return digit;
  }
  const operation = operations[random.below(operations.length)]!;
  const count = 2 + random.below(limits.args - 1);
  out.push(operation);
  const values: number[] = [];
  for (let i = 0; i < count; i++) {
    const value = appendTree(random, limits, depth + 1, out);
    if (value === undefined) return undefined;
    values.push(value);
  }
  out.push(listopsTokens.close);
  return evaluate(operation, values);
}

function evaluate(operation: (typeof operations)[number], values: number[]): number {
  switch (operation) {
    case listopsTokens.MIN:
      return Math.min(...values);
    case listopsTokens.MAX:
      return Math.max(...values);
    case listopsTokens.SM:
      return values.reduce((sum, value) => sum + value, 0) % 10;
    case listopsTokens.MED: {
      const sorted = [...values].sort((a, b) => a - b);
      const middle = sorted.length >> 1;
      const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
      return Math.floor(median);
    }
  }
}

/** Draws expressions until one has the length wanted, at most `attempts` times; undefined when none had. */
function drawExpression(
  random: RowRandom,
  limits: Limits,
  row: number[],
  attempts: number,
): number | undefined {
  for (let attempt = 0; attempt < attempts; attempt++) {
    row.length = 0;
    const answer = appendTree(random, limits, 1, row);
    if (answer !== undefined && row.length >= limits.least && row.length <= limits.most) return answer;
  }
  return undefined;
}

function rowWriter(limits: Limits, sequence: number): WriteRandomRow {
  const row: number[] = [];
  return (random, tokens, targets, offset) => {
    const answer = drawExpression(random, limits, row, Number.POSITIVE_INFINITY);
    const start = offset + sequence - 1 - row.length;
    tokens.fill(listopsTokens.blank, offset, start);
    tokens.set(row, start);
    tokens[offset + sequence - 1] = listopsTokens.equals;
    targets[offset + sequence - 1] = answer!;
  };
}

/** Draws a few expressions before anything waits for them. Throws LMX7003 where the length wanted hardly ever comes. */
function refuseRareLengths(limits: Limits): void {
  const random = new RowRandom(0, streams.task);
  for (let row = 0; row < 4; row++) {
    random.start(0, row);
    if (drawExpression(random, limits, [], rareAttempts) !== undefined) continue;
    throw new LayermixError(
      {
        code: "LMX7003",
        severity: "error",
        message:
          `Expected expressions of ${limits.least} to ${limits.most} tokens with up to ${limits.args} arguments and ` +
          `${limits.depth} levels, got none in ${rareAttempts.toLocaleString("en-US")} draws`,
        help: ["raise max_args or max_depth, or set min_length lower"],
      },
      exitCodes.invalidFile,
    );
  }
}

function create(options: TaskOptions, context: TaskContext): Task {
  const limits = limitsOf(options, context.sequence);
  refuseRareLengths(limits);
  return rowTask(
    {
      name: "listops",
      vocab,
      primary: accuracy,
      identity: { task: "listops", version: 1, ...options },
      describe: (rows) => [
        `listops: expressions of ${limits.least} to ${limits.most} tokens, ${limits.depth} deep at most; ${rows} held-out rows, ` +
          "a guess among the digits is right 10% of the time, always the most common one about 15%",
      ],
      measure: answerAccuracy,
    },
    {
      ...context,
      evaluationTokens: options.evaluation_tokens as number,
      trainRows: options.train_rows as number,
    },
    rowWriter(limits, context.sequence),
  );
}

function check(options: TaskOptions, sequence: number): readonly TaskIssue[] {
  const { least, most } = limitsOf(options, sequence);
  const issues: TaskIssue[] = [];
  if (most < 8 || least > most / 2) {
    const message = `Expected a sequence of at least ${Math.max(9, 2 * least + 1)} tokens, got ${sequence}`;
    issues.push({
      option: "min_length",
      message,
      help: ["expressions are drawn until their length fits; leave half of the row as room"],
    });
  }
  return issues;
}

const words = ["[MIN", "[MAX", "[MED", "[SM", "]", "=", "."];

function example(options: TaskOptions): readonly string[] {
  const sequence = 40;
  const { tokens, targets } = create(
    { ...options, min_length: 12, train_rows: 0 },
    { sequence, seed: 0, folder: "" },
  ).trainBatch(0, 1);
  const text = Array.from(tokens, (token) => (token < 10 ? String(token) : words[token - 10]!));
  return [`${text.slice(text.lastIndexOf(".") + 1).join(" ")} -> ${targets.at(-1)}`];
}

const evaluationTokens: TaskOption = {
  name: "evaluation_tokens",
  kind: "integer",
  default: 1_048_576,
  minimum: 1,
  maximum: 1e9,
  description: "Held-out tokens to measure on, rounded down to whole sequences: each has one answer.",
};

export const listops: TaskKind = {
  name: "listops",
  title: "ListOps (Long Range Arena)",
  measures:
    "Whether the model can follow nested structure over a long row and compute along it: a stack, and the order of " +
    "operations. Hard for all: published Transformers reach 36% at length 2000.",
  source: [
    "Tay et al., Long Range Arena, arXiv 2011.04006, and google-research/long-range-arena (depth 10, 10 arguments, lengths 500 to 2000, 96,000 training rows); Nangia and Bowman, ListOps, arXiv 1804.06028",
    "differs: read by a causal model at an equals sign behind the row, instead of a classifier over both directions",
    "differs: lengths go from min_length (a quarter of the row) to the row's end; duplicates are not searched for",
  ],
  options: [
    {
      name: "max_depth",
      kind: "integer",
      default: 10,
      minimum: 2,
      maximum: 20,
      description: "Levels of nesting, the digits' one included.",
    },
    {
      name: "max_args",
      kind: "integer",
      default: 10,
      minimum: 2,
      maximum: 20,
      description: "Arguments of an operation, at most.",
    },
    {
      name: "min_length",
      kind: "integer",
      default: 0,
      minimum: 0,
      maximum: 65_536,
      description: "Tokens of the shortest expression; 0 = a quarter of the row.",
    },
    trainRows(96_000),
    evaluationTokens,
  ],
  primary: accuracy,
  vocab: () => vocab,
  check,
  create: async (options, context) => create(options, context),
  example,
};
