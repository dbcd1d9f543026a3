// Making candidates equal in size, so that a sweep compares mixes and not budgets. The target is the model as declared. A
// candidate outside the tolerance gets another hidden width - in the largest steps (256 ... 8) that meet the tolerance, its
// blocks rescaled with it - and, where even steps of 8 are too coarse, another MLP width.

import { blocks } from "../block/registry.js";
import { LayermixError } from "../diag/diagnostic.js";
import type { MatchOn, ModelSpec } from "../spec/spec.js";
import { planModel } from "./plan.js";
import type { Plan, PlanNote } from "./plan_types.js";
import type { BlockResolver } from "./resolve_blocks.js";
import { compactCount } from "./words.js";

/** The value of a metric ("params", "flops", "training_memory", ...) for a plan; estimate/metrics.ts has it. */
export type MetricOf = (plan: Plan, metric: string) => number;

export interface MatchTarget {
  readonly on: MatchOn;
  readonly tolerance: number;
  /** What every candidate should cost, in units of `on`. */
  readonly value: number;
}

const hiddenSteps = [256, 128, 64, 32, 16, 8];

/** `model` at another hidden width, every block rescaled with it. */
export function withHidden(model: ModelSpec, hidden: number, layers: number): ModelSpec {
  if (hidden === model.hidden) return model;
  const from = { hidden: model.hidden, layers };
  const scaled = blocks.map((block) => {
    const raw = model.blocks[block.kind] ?? {};
    return [block.kind, block.rescale(raw, from, { hidden, layers })] as const;
  });
  return { ...model, hidden, blocks: Object.fromEntries(scaled) };
}

interface Sized {
  readonly model: ModelSpec;
  readonly plan: Plan;
  /** Relative distance from the target; Infinity where the size cannot be built. */
  readonly miss: number;
}

/**
 * The candidate's plan within the tolerance of the target, or the nearest there is; a note says what was changed.
 * @throws LayermixError when the candidate cannot be planned at all
 */
export function matchSize(
  model: ModelSpec,
  name: string,
  target: MatchTarget,
  metric: MetricOf,
  resolver: BlockResolver,
): Plan {
  const size = (sized: ModelSpec): Sized => {
    const plan = planModel(sized, name, resolver);
    return { model: sized, plan, miss: Math.abs(metric(plan, target.on) / target.value - 1) };
  };
  const declared = size(model);
  if (declared.miss <= target.tolerance) return declared.plan;
  const wider = searchHidden(declared, target, metric, size);
  const best = wider.miss <= target.tolerance ? wider : searchMlpWidth(wider, target, metric, size);
  return { ...best.plan, notes: [...best.plan.notes, matchNote(declared, best, target, metric)] };
}

function searchHidden(
  start: Sized,
  target: MatchTarget,
  metric: MetricOf,
  size: (m: ModelSpec) => Sized,
): Sized {
  const layers = start.plan.layers.length;
  const tried = new Map<number, Sized | undefined>();
  const at = (hidden: number): Sized | undefined => {
    if (!tried.has(hidden))
      tried.set(
        hidden,
        sizeIfPossible(() => size(withHidden(start.model, hidden, layers))),
      );
    return tried.get(hidden);
  };
  // Bisection over multiples of 8; costs grow with the width but for the rounding of heads.
  let low = 1;
  let high = Math.ceil(start.model.hidden / 2); // in units of 8: four times the width
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const sized = at(middle * 8);
    if (sized !== undefined && metric(sized.plan, target.on) > target.value) high = middle;
    else low = middle;
  }
  let best = start;
  for (const step of hiddenSteps) {
    for (const hidden of [Math.floor((low * 8) / step) * step, Math.ceil((high * 8) / step) * step]) {
      const sized = hidden > 0 ? at(hidden) : undefined;
      if (sized !== undefined && sized.miss < best.miss) best = sized;
    }
    if (best.miss <= target.tolerance) return best;
  }
  return best;
}

function searchMlpWidth(
  start: Sized,
  target: MatchTarget,
  metric: MetricOf,
  size: (m: ModelSpec) => Sized,
): Sized {
  const width = mlpWidth(start.plan);
  if (width === undefined) return start;
  const withWidth = (value: number): Sized =>
    size({
      ...start.model,
      blocks: { ...start.model.blocks, mlp: { ...start.model.blocks.mlp, width: value } },
    });
  const now = metric(start.plan, target.on);
  const perColumn = (metric(withWidth(width + 8).plan, target.on) - now) / 8;
  const wanted = width + (target.value - now) / perColumn;
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

function matchNote(before: Sized, after: Sized, target: MatchTarget, metric: MetricOf): PlanNote {
  const changes: string[] = [];
  const change = (what: string, old: number | undefined, now: number | undefined) => {
    if (old !== now) changes.push(`${what} ${old} -> ${now}`);
  };
  change("hidden", before.plan.hidden, after.plan.hidden);
  change("mlp width", mlpWidth(before.plan), mlpWidth(after.plan));
  const got = metric(after.plan, target.on);
  const off = (100 * (got / target.value - 1)).toFixed(2);
  const result = `${compactCount(got)} ${target.on}, ${off.startsWith("-") ? "" : "+"}${off}% of ${compactCount(target.value)}`;
  const what = changes.length === 0 ? "nothing could be changed" : changes.join(", ");
  if (after.miss <= target.tolerance) return { code: "LMX2104", message: `matched: ${what} (${result})` };
  return {
    code: "LMX2105",
    message: `not within ${Number((100 * target.tolerance).toPrecision(6))}% of the target; nearest: ${what} (${result})`,
  };
}
