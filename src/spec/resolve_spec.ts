// A document that has passed every check -> Spec: defaults filled in, shares as fractions, counts as numbers, snake_case
// keys as camelCase fields. Options of blocks and tasks stay as written; block/ and task/ resolve them.

import { resolve } from "node:path";
import type { Section } from "./checker.js";
import { defaults } from "./defaults.js";
import { parseAmount, parseCount, parseLength, parseShare } from "./quantity.js";
import type {
  BlockOptions,
  BudgetSpec,
  LayoutSource,
  MatchOn,
  ModelSpec,
  OptimizerSpec,
  Placement,
  ProjectSpec,
  ProxySpec,
  RankSpec,
  ScalingSpec,
  Spec,
  StrategySpec,
  SweepAxis,
  SweepSpec,
  TaskSpec,
} from "./spec.js";

/** Where the file stands and what it is called if it does not say. */
export interface SpecOrigin {
  readonly file: string;
  readonly folder: string;
  readonly defaultName: string;
}

function section(value: unknown): Section | undefined {
  return typeof value === "object" && value !== null ? (value as Section) : undefined;
}

function resolvePlacement(raw: unknown): Placement {
  const object = section(raw);
  if (object?.every !== undefined) return { kind: "every", every: object.every as number };
  if (object?.at !== undefined) return { kind: "at", at: [...(object.at as number[])].sort((a, b) => a - b) };
  return { kind: (raw ?? defaults.model.placement) as "even" | "alternate" | "halves" };
}

/** The layout of a model whose mix or pattern, depth and placement are known to be right. */
export function resolveLayout(model: Section): LayoutSource {
  if (model.pattern !== undefined) return { kind: "pattern", pattern: model.pattern as string };
  const shares = Object.entries(section(model.mix) ?? {}).map(([kind, share]) => [kind, parseShare(share)]);
  return {
    kind: "mix",
    mix: Object.fromEntries(shares),
    layers: model.layers as number,
    placement: resolvePlacement(model.placement),
  };
}

function resolveModel(model: Section): ModelSpec {
  return {
    layout: resolveLayout(model),
    hidden: model.hidden as number,
    vocab: model.vocab as number,
    tieEmbeddings: (model.tie_embeddings ?? defaults.model.tieEmbeddings) as boolean,
    norm: {
      kind: section(model.norm)?.kind === "layernorm" ? "layernorm" : "rmsnorm",
      eps: (section(model.norm)?.eps ?? defaults.model.normEps) as number,
    },
    blocks: (model.blocks ?? {}) as BlockOptions,
    ...(model.scaling === undefined ? {} : { scaling: model.scaling as ScalingSpec }),
    ...(model.meta_tokens === undefined ? {} : { metaTokens: model.meta_tokens as number }),
    ...(model.head_bias === undefined ? {} : { headBias: model.head_bias as boolean }),
  };
}

function resolveStrategy(raw: unknown): StrategySpec {
  const [kind, options] = Object.entries(section(raw) ?? {})[0] ?? ["grid", {}];
  const given = options as Section;
  switch (kind) {
    case "random":
    case "sobol":
      return { kind, trials: given.trials as number };
    case "halving":
    case "asha":
      return {
        kind,
        rungs: (given.rungs ?? defaults.halving.rungs) as number,
        keep: parseShare(given.keep ?? defaults.halving.keep),
        ...(given.trials === undefined ? {} : { trials: given.trials as number }),
      };
    case "evolution":
      return {
        kind,
        population: given.population as number,
        generations: given.generations as number,
        mutation: parseShare(given.mutation ?? defaults.evolution.mutation),
        ...(given.layers === undefined ? {} : { layers: leastAndMost(given.layers) }),
        counts: Object.fromEntries(
          Object.entries(section(given.counts) ?? {}).map(([block, count]) => [block, leastAndMost(count)]),
        ),
      };
    default:
      return { kind: "grid" };
  }
}

/** 4 or [2, 6]: exactly, or at least and at most. */
function leastAndMost(raw: unknown): readonly [number, number] {
  return Array.isArray(raw) ? (raw as [number, number]) : [raw as number, raw as number];
}

function resolveBudget(raw: unknown): BudgetSpec | undefined {
  const [unit, limit] = Object.entries(section(raw) ?? {})[0] ?? [];
  if (unit === undefined) return undefined;
  return { unit: unit as BudgetSpec["unit"], limit: unit === "hours" ? Number(limit) : parseCount(limit) };
}

function resolveAxis(path: string, raw: unknown): SweepAxis {
  const range = section(raw);
  if (range !== undefined && !Array.isArray(raw)) {
    return { path, values: [], range: { from: parseShare(range.from), to: parseShare(range.to) } };
  }
  const values = raw as readonly unknown[];
  return { path, values: path.startsWith("mix.") ? values.map(parseShare) : values };
}

function resolveSweep(sweep: Section): SweepSpec {
  const budget = resolveBudget(sweep.budget);
  const match = Object.entries(section(sweep.match) ?? {})[0];
  const where = (sweep.where ?? []) as readonly Section[];
  return {
    over: Object.entries(sweep.over as Section).map(([path, raw]) => resolveAxis(path, raw)),
    ...(sweep.fill === undefined ? {} : { fill: sweep.fill as string }),
    ...(match === undefined ? {} : { match: { on: match[0] as MatchOn, tolerance: parseShare(match[1]) } }),
    where: where.map(({ metric, min, max }) => ({
      metric: metric as string,
      ...(min === undefined ? {} : { min: parseAmount(min) }),
      ...(max === undefined ? {} : { max: parseAmount(max) }),
    })),
    strategy: resolveStrategy(sweep.strategy),
    ...(budget === undefined ? {} : { budget }),
  };
}

function resolveLearningRate(raw: unknown): Pick<OptimizerSpec, "learningRate" | "learningRateSweep"> {
  if (typeof raw === "number") return { learningRate: raw };
  const { sweep, seeds, length } = raw as Section;
  const rates = [...(sweep as readonly number[])].sort((a, b) => a - b);
  return {
    learningRate: rates[Math.floor((rates.length - 1) / 2)]!,
    learningRateSweep: {
      rates,
      seeds: (seeds ?? defaults.learningRateSweep.seeds) as number,
      length: parseShare(length ?? defaults.learningRateSweep.length),
    },
  };
}

/** 3, or { min: 2, max: 8, until: decided }. */
function resolveSeeds(raw: unknown): Pick<ProxySpec, "seeds" | "maxSeeds"> {
  const range = section(raw);
  if (range === undefined) return { seeds: raw as number };
  return { seeds: range.min as number, maxSeeds: range.max as number };
}

function resolveOptimizer(raw: Section): OptimizerSpec {
  const base = defaults.optimizer;
  return {
    kind: "adamw",
    ...resolveLearningRate(raw.lr ?? base.learningRate),
    betas: (raw.betas ?? base.betas) as readonly [number, number],
    epsilon: (raw.eps ?? base.epsilon) as number,
    weightDecay: (raw.weight_decay ?? base.weightDecay) as number,
    warmup: parseShare(raw.warmup ?? base.warmup),
    schedule: (raw.schedule ?? base.schedule) as OptimizerSpec["schedule"],
    minimum: parseShare(raw.minimum ?? base.minimum),
    decay: parseShare(raw.decay ?? base.decay),
    clip: (raw.clip ?? base.clip) as number,
  };
}

function resolveTask(raw: Section): TaskSpec {
  const { task, weight, sequence, tokens, batch_tokens: batchTokens, ...options } = raw;
  return {
    task: task as string,
    weight: (weight ?? 1) as number,
    options,
    ...(sequence === undefined ? {} : { sequence: parseLength(sequence) }),
    ...(tokens === undefined ? {} : { tokens: parseCount(tokens) }),
    ...(batchTokens === undefined ? {} : { batchTokens: parseCount(batchTokens) }),
  };
}

/** The tasks of a proxy and the sequence length they share, known to be right. */
export function resolveTasks(proxy: Section): Pick<ProxySpec, "sequence" | "tasks"> {
  return {
    sequence: parseLength(proxy.sequence ?? defaults.proxy.sequence),
    tasks: (proxy.tasks as readonly Section[]).map(resolveTask),
  };
}

function resolveProxy(proxy: Section): ProxySpec {
  return {
    ...resolveTasks(proxy),
    model: section(proxy.model) ?? {},
    batchTokens: parseCount(proxy.batch_tokens ?? defaults.proxy.batch_tokens),
    tokens: parseCount(proxy.tokens),
    ...resolveSeeds(proxy.seeds ?? defaults.proxy.seeds),
    optimizer: resolveOptimizer(section(proxy.optimizer) ?? {}),
    initStd: (proxy.init_std ?? defaults.proxy.initStd) as number,
    evaluateEvery: parseShare(proxy.evaluate_every ?? defaults.proxy.evaluateEvery),
  };
}

function resolveRank(rank: Section): RankSpec {
  return {
    by: (rank.by ?? defaults.rank.by) as string,
    confidence: parseShare(rank.confidence ?? defaults.rank.confidence),
    objectives: (rank.objectives ?? defaults.rank.objectives) as readonly string[],
  };
}

/** What is projected where a file has no section about it. */
export const defaultProject: ProjectSpec = resolveProject({});

function resolveProject(project: Section): ProjectSpec {
  return {
    hardware: (project.hardware ?? defaults.project.hardware) as string,
    contexts: ((project.contexts ?? defaults.project.contexts) as readonly unknown[]).map(parseLength),
    batch: (project.batch ?? defaults.project.batch) as number,
    ...(project.baseline === undefined ? {} : { baseline: project.baseline as string }),
  };
}

/** The resolved study; `root` is the value of a checked document. */
export function resolveSpec(root: Section, origin: SpecOrigin): Spec {
  const sweep = section(root.sweep);
  const proxy = section(root.proxy);
  const project = section(root.project);
  return {
    name: (root.name ?? origin.defaultName) as string,
    file: origin.file,
    folder:
      root.relative_to === undefined ? origin.folder : resolve(origin.folder, root.relative_to as string),
    model: resolveModel(section(root.model)!),
    ...(sweep === undefined ? {} : { sweep: resolveSweep(sweep) }),
    ...(proxy === undefined ? {} : { proxy: resolveProxy(proxy) }),
    rank: resolveRank(section(root.rank) ?? {}),
    ...(project === undefined ? {} : { project: resolveProject(project) }),
  };
}
