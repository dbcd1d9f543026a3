// The phone book. A row lists names with numbers, then asks for the numbers of some of them; the answer counts only if
// the whole number is right. `standard` asks after the book, `reversed` says before the book whose number will be asked.
//   standard: John Powell: 6093237777 / ... ? John Powell: 6093237777 /     reversed: John Powell / ? book ? ...
// One token per first name, last name and digit, so that a small model sees the task and not the spelling. Digits are
// the only counted targets. Greedy decoding writes the number exactly when every digit is the most probable one after
// the right digits before it, so exact match needs no generation.
// Jelassi et al., "Repeat After Me", arXiv 2402.01032, section 4.3; standard and reversed as in Waleffe et al.,
// arXiv 2406.07887.

import { DistinctDraw } from "./draws.js";
import { evaluationTokens } from "./options.js";
import { firstNames, lastNames } from "./phonebook_names.js";
import type { RowRandom } from "./row_random.js";
import { rowTask } from "./row_task.js";
import { countAnswers } from "./rows.js";
import type {
  EvaluatedBatch,
  Metrics,
  PrimaryMetric,
  Task,
  TaskContext,
  TaskIssue,
  TaskKind,
  TaskOptions,
} from "./task.js";

const primary: PrimaryMetric = { name: "accuracy", direction: "higher", title: "exact match" };

const pad = 0;
const endOfLine = 1;
const colon = 2;
const mark = 3;
const firstDigit = 4;
const firstFirstName = firstDigit + 10;
const firstLastName = firstFirstName + firstNames.length;
const vocab = firstLastName + lastNames.length;

interface Shape {
  readonly entries: number;
  readonly digits: number;
  readonly questions: number;
  readonly reversed: boolean;
}

function shapeOf(options: TaskOptions): Shape {
  return {
    entries: options.entries as number,
    digits: options.digits as number,
    questions: options.questions as number,
    reversed: options.order === "reversed",
  };
}

/** Tokens of the longest row: lines of name, colon, digits, end; the mark(s); names said before the book. */
function rowLength({ entries, digits, questions, reversed }: Shape): number {
  const asked = Math.min(questions, entries);
  return (entries + asked) * (digits + 4) + 1 + (reversed ? 3 * asked + 1 : 0);
}

/** Numbers of entries that held-out rows have: quarters of the largest. */
function levelsOf(entries: number): readonly number[] {
  return [...new Set([0.25, 0.5, 0.75, 1].map((share) => Math.ceil(entries * share)))];
}

/** Makes the function that writes a row with `count` entries. */
function rowWriter({ entries, digits, questions, reversed }: Shape) {
  const nameDraw = new DistinctDraw(firstNames.length * lastNames.length, entries);
  const listingDraw = new DistinctDraw(entries, entries);
  const names = new Int32Array(entries);
  const listing = new Int32Array(entries);
  const numbers = new Int32Array(entries * digits);
  return (random: RowRandom, tokens: Int32Array, targets: Int32Array, offset: number, count: number) => {
    nameDraw.draw(random, count, names);
    for (let i = 0; i < count * digits; i++) numbers[i] = firstDigit + random.below(10);
    let at = offset;
    const writeName = (entry: number) => {
      tokens[at++] = firstFirstName + (names[entry]! % firstNames.length);
      tokens[at++] = firstLastName + Math.floor(names[entry]! / firstNames.length);
    };
    const writeLine = (entry: number, isAnswer: boolean) => {
      writeName(entry);
      tokens[at] = colon;
      for (let digit = 0; digit < digits; digit++) {
        const token = numbers[entry * digits + digit]!;
        if (isAnswer) targets[at] = token;
        tokens[++at] = token;
      }
      tokens[++at] = endOfLine;
      at += 1;
    };
    // The book is listed in random order, so asking entries 0, 1, ... asks random places in random order.
    const asked = Math.min(questions, count);
    listingDraw.draw(random, count, listing, count);
    if (reversed) {
      for (let i = 0; i < asked; i++) {
        writeName(i);
        tokens[at++] = endOfLine;
      }
      tokens[at++] = mark;
    }
    for (let i = 0; i < count; i++) writeLine(listing[i]!, false);
    tokens[at++] = mark;
    for (let i = 0; i < asked; i++) writeLine(i, true);
  };
}

function check(options: TaskOptions, sequence: number): readonly TaskIssue[] {
  const shape = shapeOf(options);
  const needed = rowLength(shape);
  if (needed <= sequence) return [];
  return [
    {
      option: "entries",
      message: `Expected a sequence of at least ${needed} tokens for ${shape.entries} entries, got ${sequence}`,
      help: [`an entry takes ${shape.digits + 4} tokens: first name, last name, colon, digits, end of line`],
    },
  ];
}

/** Exact match per answer: every `digits` counted positions in a row of the batch are one number. */
function measure(evaluated: Iterable<EvaluatedBatch>, shape: Shape, levels: readonly number[]): Metrics {
  const batches = [...evaluated];
  const right = new Map(levels.map((level) => [level, 0]));
  const total = new Map(levels.map((level) => [level, 0]));
  let row = 0;
  for (const { batch, correct } of batches) {
    const sequence = batch.targets.length / batch.rows;
    for (let r = 0; r < batch.rows; r++, row++) {
      const level = levels[row % levels.length]!;
      let digit = 0;
      let exact = 1;
      for (let i = r * sequence; i < (r + 1) * sequence; i++) {
        if (batch.targets[i]! < 0) continue;
        exact &= correct[i]!;
        if (++digit < shape.digits) continue;
        right.set(level, right.get(level)! + exact);
        total.set(level, total.get(level)! + 1);
        digit = 0;
        exact = 1;
      }
    }
  }
  const { asked, nats } = countAnswers(batches);
  const sum = (counts: Map<number, number>) => [...counts.values()].reduce((a, b) => a + b, 0);
  const seen = levels.filter((level) => total.get(level)! > 0);
  return {
    loss: nats / asked,
    accuracy: sum(right) / sum(total),
    byEntries: Object.fromEntries(
      seen.map((level) => [String(level), right.get(level)! / total.get(level)!]),
    ),
  };
}

function create(options: TaskOptions, context: TaskContext): Task {
  const shape = shapeOf(options);
  const levels = levelsOf(shape.entries);
  const write = rowWriter(shape);
  return rowTask(
    {
      name: "phonebook",
      vocab,
      primary,
      identity: { task: "phonebook", version: 1, ...options },
      describe: (evaluationRows) => [
        `phonebook (${shape.reversed ? "reversed" : "standard"}): up to ${shape.entries} entries of ` +
          `${shape.digits} digits in ${context.sequence} tokens; ${evaluationRows} held-out rows with ` +
          `${levels.join(", ")} entries`,
      ],
      measure: (evaluated) => measure(evaluated, shape, levels),
    },
    { ...context, evaluationTokens: options.evaluation_tokens as number },
    (random, tokens, targets, offset) =>
      write(random, tokens, targets, offset, 1 + random.below(shape.entries)),
    (random, tokens, targets, offset, row) =>
      write(random, tokens, targets, offset, levels[row % levels.length]!),
  );
}

/** The first held-out row with all entries as text: names spelled out, one line per entry. */
function example(options: TaskOptions, sequence: number): readonly string[] {
  const largest = levelsOf(options.entries as number).length - 1;
  const task = create(
    { ...options, evaluation_tokens: (largest + 1) * sequence },
    { sequence, seed: 0, folder: "" },
  );
  const batch = task.evaluationBatch(largest, 1);
  const text = Array.from(batch.tokens, (token) => {
    if (token === pad) return "";
    if (token === endOfLine) return "\n";
    if (token === colon) return ": ";
    if (token === mark) return "?\n";
    if (token < firstFirstName) return String(token - firstDigit);
    if (token < firstLastName) return `${firstNames[token - firstFirstName]} `;
    return lastNames[token - firstLastName]!;
  });
  return text.join("").trimEnd().split("\n");
}

export const phonebook: TaskKind = {
  name: "phonebook",
  title: "phone book lookup, standard and reversed",
  measures:
    "Whether the model can copy a whole number for one of many names, by the size of the book. Attention stays exact up " +
    "to the training length; state-space models forget digits as the book grows. Reversed says first whom to remember, " +
    "which a recurrent state can use.",
  source: [
    "Jelassi et al., Repeat After Me: Transformers are Better than State Space Models at Copying, arXiv 2402.01032, section 4.3",
    "Waleffe et al., An Empirical Study of Mamba-based Language Models, arXiv 2406.07887: standard and reversed, accuracy by length",
    "differs: one token per name and digit, no few-shot examples (the model is trained on the task), several questions per book",
  ],
  options: [
    {
      name: "entries",
      kind: "integer",
      default: 16,
      minimum: 1,
      maximum: firstNames.length * lastNames.length,
      description:
        "Entries of the largest book; training draws 1 to this many, held-out rows use its quarters.",
    },
    {
      name: "digits",
      kind: "integer",
      default: 10,
      minimum: 1,
      maximum: 32,
      description: "Digits of a number.",
    },
    {
      name: "order",
      kind: "choice",
      default: "standard",
      choices: ["standard", "reversed"],
      description: "standard asks after the book; reversed names the asked ones before it.",
    },
    {
      name: "questions",
      kind: "integer",
      default: 4,
      minimum: 1,
      maximum: 1024,
      description: "Numbers asked per book, at most one per entry.",
    },
    evaluationTokens,
  ],
  primary,
  vocab: () => vocab,
  check,
  create: async (options, context) => create(options, context),
  example,
};
