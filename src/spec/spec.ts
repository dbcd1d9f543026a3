// The resolved study file: what spec/ hands to every later room. Plain readonly data, every default filled in,
// every share a fraction in [0, 1], every count a plain number. Source positions stay in spec/ (see SpecDocument).

/** Shares by block kind, fractions that total 1: {mamba2: 0.43, attention: 0.07, mlp: 0.5}. */
export type Mix = Readonly<Record<string, number>>;

/**
 * Raw (schema-checked, not yet resolved) options by layer kind; blocks resolve them against the hidden width. Named kinds
 * say what they are: { global: { kind: "attention", symbol: "g", ... } }.
 */
export type BlockOptions = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export type Placement =
  | { readonly kind: "even" } // Megatron's algorithm, exactly
  | { readonly kind: "alternate" }
  | { readonly kind: "halves" }
  | { readonly kind: "every"; readonly every: number }
  | { readonly kind: "at"; readonly at: readonly number[] }; // 0-based layer indices of the attention layers

export type LayoutSource =
  | { readonly kind: "mix"; readonly mix: Mix; readonly layers: number; readonly placement: Placement }
  | { readonly kind: "pattern"; readonly pattern: string };

/** Scalars that models multiply with, 1 where absent; they cost nothing and hold no parameters. */
export interface ScalingSpec {
  readonly embedding?: number;
  /** Of the output of every layer, before it is added. */
  readonly residual?: number;
  readonly logits?: number;
  /** Logits are squashed to this range by tanh. */
  readonly softcap?: number;
}

export interface ModelSpec {
  readonly layout: LayoutSource;
  readonly hidden: number;
  readonly vocab: number;
  readonly tieEmbeddings: boolean;
  readonly norm: { readonly kind: "rmsnorm" | "layernorm"; readonly eps: number };
  readonly blocks: BlockOptions;
  readonly scaling?: ScalingSpec;
  /** Trained tokens in front of every sequence. */
  readonly metaTokens?: number;
  /** A bias of the output layer. */
  readonly headBias?: boolean;
}

/** A path below `model` and the values it takes, e.g. "mix.attention" over [0, 0.04, 0.08]. */
export interface SweepAxis {
  readonly path: string;
  /** Empty where the axis is a range. */
  readonly values: readonly unknown[];
  /** A share that takes any value between two, instead of listed ones. */
  readonly range?: { readonly from: number; readonly to: number };
}

export type MatchOn = "params" | "active_params" | "flops" | "step_time";

/** Which candidates are run, and how far. */
export type StrategySpec =
  | { readonly kind: "grid" }
  | { readonly kind: "random" | "sobol"; readonly trials: number }
  | HalvingSpec
  | EvolutionSpec;

export interface HalvingSpec {
  readonly kind: "halving" | "asha";
  readonly rungs: number;
  /** Share of a rung that goes on to the next. */
  readonly keep: number;
  /** Candidates to begin with; all of them when absent. */
  readonly trials?: number;
}

export interface EvolutionSpec {
  readonly kind: "evolution";
  readonly population: number;
  /** Generations after the first. */
  readonly generations: number;
  /** Share of the children that are mutations of one parent. */
  readonly mutation: number;
  /** Layers of a pattern, at least and at most; those of the model when absent. */
  readonly layers?: readonly [number, number];
  /** Layers by kind, at least and at most. */
  readonly counts: Readonly<Record<string, readonly [number, number]>>;
}

/** What the whole study may use, however often it is resumed. */
export interface BudgetSpec {
  readonly unit: "tokens" | "flops" | "hours";
  readonly limit: number;
}

export interface SweepSpec {
  readonly over: readonly SweepAxis[];
  /** The kind that takes what the axes leave of 100%. */
  readonly fill?: string;
  readonly match?: { readonly on: MatchOn; readonly tolerance: number };
  readonly where: readonly { readonly metric: string; readonly min?: number; readonly max?: number }[];
  readonly strategy: StrategySpec;
  readonly budget?: BudgetSpec;
}

/** A learning rate for every candidate and task of its own: the best of these in pilot runs with seeds of their own. */
export interface LearningRateSweep {
  readonly rates: readonly number[];
  /** Pilot runs per rate. */
  readonly seeds: number;
  /** Length of a pilot run, as a share of the full one. */
  readonly length: number;
}

export interface OptimizerSpec {
  readonly kind: "adamw";
  /** Peak; the middle of the rates where they are swept. */
  readonly learningRate: number;
  readonly learningRateSweep?: LearningRateSweep;
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Fraction of the steps. */
  readonly warmup: number;
  readonly schedule: "constant" | "cosine" | "wsd";
  /** Final learning rate of cosine and WSD as a fraction of the peak. */
  readonly minimum: number;
  /** WSD: fraction of the steps spent in the final decay. */
  readonly decay: number;
  /** Global gradient norm limit; 0 = off. */
  readonly clip: number;
}

/** One task of a proxy: its name, its own options (checked by task/), and overrides of the proxy's budget. */
export interface TaskSpec {
  readonly task: string;
  readonly weight: number;
  readonly options: Readonly<Record<string, unknown>>;
  readonly sequence?: number;
  readonly tokens?: number;
  readonly batchTokens?: number;
}

export interface ProxySpec {
  /** Overrides of the model (layers, hidden, vocab, blocks...); the mix is kept. */
  readonly model: Readonly<Record<string, unknown>>;
  readonly sequence: number;
  readonly batchTokens: number;
  readonly tokens: number;
  /** Runs of every candidate and task. */
  readonly seeds: number;
  /** Where candidates that are tied with the best get further seeds, up to this many; none when absent. */
  readonly maxSeeds?: number;
  readonly optimizer: OptimizerSpec;
  readonly tasks: readonly TaskSpec[];
  /** Standard deviation of initial weight matrices. */
  readonly initStd: number;
  /** Evaluate on held-out data every this fraction of the run (the end is always evaluated). */
  readonly evaluateEvery: number;
}

export interface RankSpec {
  readonly by: string; // "score", "loss", or a task name
  readonly confidence: number; // 0.95
  /** Costs that the Pareto front weighs against `by`, lower is better. */
  readonly objectives: readonly string[];
}

export interface ProjectSpec {
  readonly hardware: string;
  readonly contexts: readonly number[];
  readonly batch: number;
  readonly baseline?: string;
}

export interface Spec {
  readonly name: string;
  /** The file as the user named it ("study.yaml", "preset:nemotron-h-8b", "<stdin>"). */
  readonly file: string;
  /** Folder that relative paths in the file start from. */
  readonly folder: string;
  readonly model: ModelSpec;
  readonly sweep?: SweepSpec;
  readonly proxy?: ProxySpec;
  readonly rank: RankSpec;
  readonly project?: ProjectSpec;
}
