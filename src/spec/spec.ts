// The resolved study file: what spec/ hands to every later room. Plain readonly data, every default filled in,
// every share a fraction in [0, 1], every count a plain number. Source positions stay in spec/ (see SpecDocument).

/** Shares by block kind, fractions that total 1: {mamba2: 0.43, attention: 0.07, mlp: 0.5}. */
export type Mix = Readonly<Record<string, number>>;

/** Raw (schema-checked, not yet resolved) options by block kind; blocks resolve them against the hidden width. */
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

export interface ModelSpec {
  readonly layout: LayoutSource;
  readonly hidden: number;
  readonly vocab: number;
  readonly tieEmbeddings: boolean;
  readonly norm: { readonly kind: "rmsnorm"; readonly eps: number };
  readonly blocks: BlockOptions;
}

/** A path below `model` and the values it takes, e.g. "mix.attention" over [0, 0.04, 0.08]. */
export interface SweepAxis {
  readonly path: string;
  readonly values: readonly unknown[];
}

export type MatchOn = "params" | "active_params" | "flops";

export interface SweepSpec {
  readonly over: readonly SweepAxis[];
  /** The kind that takes what the axes leave of 100%. */
  readonly fill?: string;
  readonly match?: { readonly on: MatchOn; readonly tolerance: number };
  readonly where: readonly { readonly metric: string; readonly min?: number; readonly max?: number }[];
  readonly strategy:
    | { readonly kind: "grid" }
    | { readonly kind: "random"; readonly trials: number }
    | { readonly kind: "halving"; readonly rungs: number; readonly keep: number };
}

export interface OptimizerSpec {
  readonly kind: "adamw";
  readonly learningRate: number;
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
  readonly seeds: number;
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
