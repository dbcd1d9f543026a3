// The options of a layer kind as JSON Schema: what editors show, `layermix check` checks and docs/study-file.md
// lists. Each kind states its own beside its code; schemas/study.schema.json is made from them.

export type OptionSchema = Readonly<Record<string, unknown>>;

/** The options of one kind, as a mapping of the study file. */
export interface KindSchema {
  readonly title: string;
  readonly description: string;
  readonly properties: Readonly<Record<string, OptionSchema>>;
  readonly examples: readonly Readonly<Record<string, unknown>>[];
}

interface CountLimits {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: number;
  /** Shown by editors and docs; the default where absent. */
  readonly example?: number;
}

function withDefault(value: unknown, example: unknown): OptionSchema {
  return { ...(value === undefined ? {} : { default: value }), examples: [example ?? value] };
}

/** A whole number, 1 to 65536 unless told otherwise. */
export function countOption(title: string, description: string, limits: CountLimits): OptionSchema {
  const { minimum = 1, maximum = 65536, default: fallback, example } = limits;
  return { title, description, type: "integer", minimum, maximum, ...withDefault(fallback, example) };
}

/** true or false; false by default. */
export function flagOption(title: string, description: string, fallback = false): OptionSchema {
  return { title, description, type: "boolean", ...withDefault(fallback, fallback) };
}

/** One of a few names, the first by default. */
export function choiceOption(
  title: string,
  description: string,
  values: readonly [string, ...string[]],
  example: string = values[0],
): OptionSchema {
  return { title, description, type: "string", enum: values, ...withDefault(values[0], example) };
}

/** Widest inner width of a feed-forward layer. */
export const widestLayer = 16_777_216;

/** Expansion of an inner width over the hidden width. */
export const expandOption: OptionSchema = {
  title: "Expansion",
  description: "Inner width = expand x hidden. Not together with heads.",
  type: "number",
  exclusiveMinimum: 0,
  maximum: 64,
  default: 2,
  examples: [2],
};

/** Taps of a causal convolution in front of a recurrence. */
export const convOption: OptionSchema = countOption("Convolution", "Taps of the causal convolution.", {
  maximum: 64,
  default: 4,
});

/** none, rope, or { kind: rope, theta, fraction }. */
export const positionOption: OptionSchema = {
  title: "Position embedding",
  description: "none (usual in hybrids), rope, or { kind: rope, theta, fraction }.",
  type: ["string", "object"],
  default: "none",
  "x-expected": "none, rope or { kind: rope, theta: ..., fraction: ... }",
  examples: ["none", "rope", { kind: "rope", theta: 500_000, fraction: 0.5 }],
  if: { type: "string" },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: { enum: ["none", "rope"] },
  else: {
    type: "object",
    additionalProperties: false,
    required: ["kind"],
    properties: {
      kind: {
        title: "Kind",
        description: "The kind of position embedding.",
        type: "string",
        enum: ["none", "rope"],
        examples: ["rope"],
      },
      theta: {
        title: "Theta",
        description: "Base of the rotation frequencies.",
        type: "number",
        exclusiveMinimum: 0,
        maximum: 1e12,
        default: 10_000,
        examples: [10_000],
      },
      fraction: {
        title: "Fraction",
        description: "Fraction of each head's channels that is rotated.",
        type: "number",
        exclusiveMinimum: 0,
        maximum: 1,
        default: 1,
        examples: [0.5],
      },
    },
  },
};
