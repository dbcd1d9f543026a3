// Making candidates equal in size, so that a sweep compares mixes and not budgets. The target is the model as
// declared. A candidate outside the tolerance gets another hidden width - in the largest steps (256 ... 8)
// that meet the tolerance, its blocks rescaled with it - and, where even steps of 8 are too coarse, another
// MLP width.

import { layerKinds } from "../block/layer_kinds.js";
import { nearestMultiple } from "../block/raw_options.js";
import { LayermixError } from "../diag/diagnostic.js";
import type { MatchOn, ModelSpec } from "../spec/spec.js";
import { type Layout, layOut } from "./layout.js";
import { assemblePlan } from "./plan.js";
import type { Plan, PlanNote } from "./plan_types.js";
import type { BlockResolver } from "./resolve_blocks.js";
import { compactCount } from "./words.js";

/**
 * The value of a metric ("params", "flops", "training_memory", ...) for a plan; estimate/metrics.ts has it.
 */
export type MetricOf = (plan: Plan, metric: string) => number;

export interface MatchTarget {
  readonly on: MatchOn;
  readonly tolerance: number;
  /** What every candidate should cost, in units of `on`. */
  readonly value: number;
}

const hiddenSteps = [256, 128, 64, 32, 16, 8];
const noOptions = {};

/** `model` at another hidden width, every block rescaled with it. */
function withHidden(
  model: ModelSpec,
  hidden: number,
  { counts, pattern }: Layout,
  resolver: BlockResolver,
): ModelSpec {
  if (hidden === model.hidden) return model;
  const layers = pattern.length;
  const from = { hidden: model.hidden, layers };
  const rescaled: Record<string, Readonly<Record<string, unknown>>> = { ...model.blocks };
  for (const kind of layerKinds(model.blocks)) {
    if ((counts[kind.name] ?? 0) === 0) continue;
    const raw = model.blocks[kind.name] ?? noOptions;
    rescaled[kind.name] = resolver.rescale(kind, raw, from, { hidden, layers });
  }
  return { ...model, hidden, blocks: rescaled };
}

interface Sized {
  readonly model: ModelSpec;
  readonly plan: Plan;
  readonly cost: number;
  /** Relative distance from the target. */
  readonly miss: number;
}

/**
 * The candidate's plan within the tolerance of the target, or the nearest there is; a note says what was
 * changed.
 * @throws LayermixError when the candidate cannot be planned at all
 */
export function matchSize(
  model: ModelSpec,
  name: string,
  target: MatchTarget,
  metric: MetricOf,
  resolver: BlockResolver,
): Plan {
  const layout = layOut(model.layout, layerKinds(model.blocks));
  const size = (sized: ModelSpec): Sized => {
    const plan = assemblePlan(sized, name, layout, resolver);
    const cost = metric(plan, target.on);
    return { model: sized, plan, cost, miss: Math.abs(cost / target.value - 1) };
  };
  const declared = size(model);
  if (declared.miss <= target.tolerance) return declared.plan;
  const wider = searchHidden(declared, target, (hidden) =>
    sizeIfPossible(() => size(withHidden(model, hidden, layout, resolver))),
  );
  const best = wider.miss <= target.tolerance ? wider : searchMlpWidth(wider, target, size);
  return { ...best.plan, notes: [...best.plan.notes, matchNote(declared, best, target)] };
}

/**
 * Finds where the cost meets the target, then takes the coarsest multiple next to it that is within the
 * tolerance.
 */
function searchHidden(
  start: Sized,
  target: MatchTarget,
  sizeAt: (hidden: number) => Sized | undefined,
): Sized {
  const tried = new Map<number, Sized | undefined>([[start.model.hidden, start]]);
  const at = (hidden: number): Sized | undefined => {
    if (!tried.has(hidden)) tried.set(hidden, sizeAt(hidden));
    return tried.get(hidden);
  };
  const root = meetingWidth(start, target, at);
  let best = start;
  for (const step of hiddenSteps) {
    for (const hidden of [Math.floor(root / step) * step, Math.ceil(root / step) * step]) {
      const sized = hidden > 0 ? at(hidden) : undefined;
      if (sized !== undefined && sized.miss < best.miss) best = sized;
    }
    if (best.miss <= target.tolerance) return best;
  }
  return best;
}

/**
 * The real-valued width at which the cost would meet the target: secant steps on a log-log scale, where costs
 * are nearly straight lines between slope 1 (embeddings) and 2 (matrices).
 */
function meetingWidth(start: Sized, target: MatchTarget, at: (hidden: number) => Sized | undefined): number {
  let { hidden } = start.model;
  let { cost } = start;
  let slope = 2;
  let root = hidden;
  for (let i = 0; i < 8; i += 1) {
    root = hidden * (target.value / cost) ** (1 / slope);
    const next = at(nearestMultiple(root, 8));
    if (next === undefined || next.model.hidden === hidden) return root;
    slope = Math.log(next.cost / cost) / Math.log(next.model.hidden / hidden);
    slope = Math.min(2.5, Math.max(0.8, slope)); // rounding of heads can make a short step flat or steep
    ({ cost } = next);
    ({ hidden } = next.model);
  }
  return root;
}

function searchMlpWidth(start: Sized, target: MatchTarget, size: (model: ModelSpec) => Sized): Sized {
  const width = mlpWidth(start.plan);
  if (width === undefined) return start;
  const withWidth = (value: number): Sized =>
    size({
      ...start.model,
      blocks: { ...start.model.blocks, mlp: { ...start.model.blocks.mlp, width: value } },
    });
  const perColumn = (withWidth(width + 8).cost - start.cost) / 8;
  const wanted = width + (target.value - start.cost) / perColumn;
  let best = start;
  for (const value of [Math.floor(wanted / 8) * 8, Math.ceil(wanted / 8) * 8]) {
    const sized = value > 0 ? sizeIfPossible(() => withWidth(value)) : undefined;
    if (sized !== undefined && sized.miss < best.miss) best = sized;
  }
  return best;
}

function sizeIfPossible(size: () => Sized): Sized | undefined {
  try {
    return size();
  } catch (error) {
    if (error instanceof LayermixError) return undefined; // this width does not divide into heads: try others
    throw error;
  }
}

/** Width of the plan's MLPs; undefined without one. */
function mlpWidth(plan: Plan): number | undefined {
  const options = plan.layers.find(({ block }) => block.kind === "mlp")?.options;
  return (options as { readonly width: number } | undefined)?.width;
}

function matchNote(before: Sized, after: Sized, target: MatchTarget): PlanNote {
  const changes: string[] = [];
  const change = (what: string, old: number | undefined, now: number | undefined) => {
    if (old !== now) changes.push(`${what} ${old} -> ${now}`);
  };
  change("hidden", before.plan.hidden, after.plan.hidden);
  change("mlp width", mlpWidth(before.plan), mlpWidth(after.plan));
  const off = 100 * (after.cost / target.value - 1);
  const side = off < 0 ? "below" : "above";
  const show = (cost: number): string =>
    target.on === "step_time" ? `${(1_000 * cost).toPrecision(3)} ms` : compactCount(cost);
  const result = `${show(after.cost)} ${target.on.replace("_", " ")}, ${Math.abs(off).toFixed(2)}% ${side} ${show(target.value)}`;
  const what = changes.length === 0 ? "nothing could be changed" : changes.join(", ");
  if (after.miss <= target.tolerance) return { code: "LMX2104", message: `matched: ${what} (${result})` };
  return {
    code: "LMX2105",
    message: `not within ${Number((100 * target.tolerance).toPrecision(6))}% of the target; nearest: ${what} (${result})`,
  };
}
