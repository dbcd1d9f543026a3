// Selective copying. `tokens` data tokens lie at random places among blanks; after the marker the model writes them down
// in order, its input there being blanks:  . 4 . . 9 2 . . | . . .  ->  4 9 2.  Every written position is counted.
// Poli et al., "Mechanistic Design and Scaling of Hybrid Architectures" (MAD), arXiv 2403.17844, task selective-copying.
// Differs from the released generator: places and tokens both come from the seeded generator (there the places are drawn
// from numpy's global one), and the number of tokens to copy always takes effect.

import { DistinctDraw } from "./draws.js";
import { evaluationTokens } from "./options.js";
import type { RowRandom } from "./row_random.js";
import { rowTask } from "./row_task.js";
import { answerAccuracy } from "./rows.js";
import type { PrimaryMetric, Task, TaskContext, TaskIssue, TaskKind, TaskOptions } from "./task.js";

const primary: PrimaryMetric = { name: "accuracy", direction: "higher", title: "accuracy" };
const blank = 0;
const marker = 1;
const firstData = 2;

/** Makes the function that writes a row: body (data among blanks), marker, then one blank per written token. */
function rowWriter(options: TaskOptions, sequence: number) {
  const count = options.tokens_to_copy as number;
  const dataTokens = (options.vocab as number) - firstData;
  const body = sequence - count - 1;
  const draw = new DistinctDraw(body, count);
  const places = new Int32Array(count);
  return (random: RowRandom, tokens: Int32Array, targets: Int32Array, offset: number) => {
    draw.draw(random, count, places);
    places.sort();
    tokens[offset + body] = marker;
    for (let i = 0; i < count; i++) {
      const token = firstData + random.below(dataTokens);
      tokens[offset + places[i]!] = token;
      targets[offset + body + 1 + i] = token;
    }
  };
}

function check(options: TaskOptions, sequence: number): readonly TaskIssue[] {
  const count = options.tokens_to_copy as number;
  if (sequence >= 2 * count + 1) return [];
  return [
    {
      option: "tokens_to_copy",
      message: `Expected a sequence of at least ${2 * count + 1} tokens to copy ${count}, got ${sequence}`,
      help: ["a row holds the tokens, one marker, and as many places to write them"],
    },
  ];
}

function create(options: TaskOptions, context: TaskContext): Task {
  const vocab = options.vocab as number;
  const count = options.tokens_to_copy as number;
  const { sequence } = context;
  return rowTask(
    {
      name: "copy",
      vocab,
      primary,
      identity: { task: "copy", version: 1, ...options },
      describe: (evaluationRows) => [
        `copy: ${count} tokens of ${vocab - firstData} kinds among ${sequence - count - 1} places; ` +
          `${evaluationRows} held-out rows`,
      ],
      measure: answerAccuracy,
    },
    { ...context, evaluationTokens: options.evaluation_tokens as number },
    rowWriter(options, sequence),
  );
}

/** Blanks as dots, the marker as a bar, data as numbers; then what has to be written. */
function example(options: TaskOptions, sequence: number): readonly string[] {
  const batch = create(options, { sequence, seed: 0, folder: "" }).trainBatch(0, 1);
  const words = Array.from(batch.tokens, (token) =>
    token === blank ? "." : token === marker ? "|" : String(token - firstData),
  );
  const answer = Array.from(batch.targets).filter((target) => target >= 0);
  return [words.join(" "), `to write: ${answer.map((token) => token - firstData).join(" ")}`];
}

export const copy: TaskKind = {
  name: "copy",
  title: "selective copying",
  measures:
    "Whether the model can keep what matters and skip what does not, in order. Needs content-dependent memory: " +
    "time-invariant convolutions fail it, selective state spaces and attention can learn it.",
  source: [
    "Poli et al., Mechanistic Design and Scaling of Hybrid Architectures, arXiv 2403.17844, task selective-copying (vocab 16, length 256, 16 tokens to copy)",
    "differs: places and tokens both come from the seeded generator, and the number of tokens to copy always takes effect; places are uniform (there the last data token stands right before the marker)",
  ],
  options: [
    {
      name: "tokens_to_copy",
      kind: "integer",
      default: 16,
      minimum: 1,
      maximum: 65_536,
      description: "Data tokens in a row.",
    },
    {
      name: "vocab",
      kind: "integer",
      default: 16,
      minimum: 3,
      maximum: 1_048_576,
      description: "Tokens in all: one blank, one marker, the rest data.",
    },
    evaluationTokens,
  ],
  primary,
  vocab: (options) => options.vocab as number,
  check,
  create: async (options, context) => create(options, context),
  example,
};
