// A study's candidates: every point of the sweep planned, matched in size, told apart, and held against
// sweep.where. What is not kept is listed with its reason. Costs come in through `metric`, so that plan/ need
// not know estimate/.

import { LayermixError } from "../diag/diagnostic.js";
import type { Spec, SweepSpec } from "../spec/spec.js";
import { pointModel, type SweepPoint, sweepPoints } from "./axes.js";
import { type MatchTarget, type MetricOf, matchSize } from "./match.js";
import { plan, planModel } from "./plan.js";
import { infeasible } from "./plan_error.js";
import type { Candidate, DroppedCandidate, Plan } from "./plan_types.js";
import { createBlockResolver } from "./resolve_blocks.js";
import { drawPoints } from "./sample_points.js";
import { compactBytes, compactCount } from "./words.js";

export interface ExpandedSweep {
  readonly candidates: readonly Candidate[];
  readonly dropped: readonly DroppedCandidate[];
}

/** Draws that give nothing new before a sweep with ranges is taken to have no more layouts than were found. */
const fruitlessDraws = 4_096;
/** Of the draws that are not kept, so many are listed with their reasons. */
const listedDraws = 20;

/**
 * The candidates of a study in the order of its axes, or of the draws where axes are ranges; the model itself, under the
 * study's name, when there is no sweep.
 * @param seed of the draws.
 * @throws LayermixError LMX2014 when nothing is left, or as plan() when there is no sweep or the match target
 * fails
 */
export function expandSweep(spec: Spec, metric: MetricOf, seed = 0): ExpandedSweep {
  const { sweep } = spec;
  if (sweep === undefined || sweep.over.length === 0) {
    return {
      candidates: [{ name: spec.name, values: {}, plan: planModel(spec.model, spec.name) }],
      dropped: [],
    };
  }
  const candidates: Candidate[] = [];
  const dropped: DroppedCandidate[] = [];
  const planPoint = sweepPlanner(spec, metric);
  const wanted = drawnCandidates(spec);
  if (wanted === undefined) for (const point of sweepPoints(sweep.over)) consider(point);
  else drawUntil(wanted);
  if (candidates.length === 0) {
    const reasons = dropped.slice(0, 5).map(({ name, reason }) => `${name}: ${reason}`);
    throw infeasible(
      "LMX2014",
      `All ${dropped.length} points of the sweep were dropped`,
      reasons,
      "sweep.over",
    );
  }
  return { candidates, dropped };

  /** Keeps the point or lists it with its reason; false when it was not kept. */
  function consider(point: SweepPoint, drawn = false): boolean {
    const outcome = planPoint(point);
    if ("plan" in outcome) candidates.push({ ...point, plan: outcome.plan });
    else if (!drawn || (!outcome.twin && dropped.length < listedDraws)) {
      dropped.push({ ...point, reason: outcome.reason });
    }
    return "plan" in outcome;
  }

  function drawUntil(count: number): void {
    let fruitless = 0;
    const how = sweep!.strategy.kind === "random" ? "random" : "sobol";
    for (const point of drawPoints(spec, how, seed)) {
      if (point !== undefined && consider(point, true)) fruitless = 0;
      else fruitless++;
      if (candidates.length === count) return;
      if (fruitless === fruitlessDraws) break;
    }
    const reason = `${count} wanted, ${candidates.length} different layouts found in the ranges`;
    dropped.push({ name: "further draws", values: {}, reason });
  }
}

/** How many candidates are to be drawn; undefined where the axes are walked through. */
function drawnCandidates({ sweep }: Spec): number | undefined {
  const { over, strategy } = sweep!;
  const ranged = over.some(({ range }) => range !== undefined);
  if (!ranged && strategy.kind !== "sobol") return undefined;
  return "trials" in strategy ? strategy.trials : 1; // spec/ asks for `trials` wherever an axis is a range
}

/** The plan of a point, or the reason why it is not kept; `twin` when it is a model that was planned before. */
export type PlannedPoint = { readonly plan: Plan } | { readonly reason: string; readonly twin: boolean };

/**
 * Plans points of a sweep one by one: sized by `match`, told apart, and held against `where`.
 * @throws LayermixError as plan() when the match target cannot be planned
 */
export function sweepPlanner(spec: Spec, metric: MetricOf): (point: SweepPoint) => PlannedPoint {
  const sweep = spec.sweep!;
  const resolver = createBlockResolver();
  // Step times are measured on proxies alone (planProxy); the models keep their size.
  const target: MatchTarget | undefined =
    sweep.match === undefined || sweep.match.on === "step_time"
      ? undefined
      : { ...sweep.match, value: metric(plan(spec), sweep.match.on) };
  const seen = new Map<string, string>();
  const optionTexts = new WeakMap<object, string>();
  return planPoint;

  function planPoint({ name, values }: SweepPoint): PlannedPoint {
    let planned: Plan;
    try {
      const model = pointModel(spec.model, sweep, values);
      planned =
        target === undefined
          ? planModel(model, name, resolver)
          : matchSize(model, name, target, metric, resolver);
    } catch (error) {
      if (!(error instanceof LayermixError)) throw error;
      return { reason: error.diagnostics.map(({ message }) => message).join("; "), twin: false };
    }
    const key = identity(planned, optionTexts);
    const twin = seen.get(key);
    if (twin !== undefined) return { reason: `same layers and sizes as ${twin}`, twin: true };
    seen.set(key, name);
    const broken = brokenConstraint(planned, sweep, metric);
    return broken === undefined ? { plan: planned } : { reason: broken, twin: false };
  }
}

/** Text that is equal for equal models, whatever they are called. */
function identity(plan: Plan, texts: WeakMap<object, string>): string {
  const options = new Set(plan.layers.map((layer) => layer.options as object));
  const parts = [...options].map((option) => {
    const text = texts.get(option) ?? JSON.stringify(option);
    texts.set(option, text);
    return text;
  });
  const norm = `${plan.layerNorm === true ? "layernorm" : "rmsnorm"} ${plan.normEps}`;
  return `${plan.pattern} ${plan.hidden} ${plan.vocab} ${plan.tieEmbeddings} ${norm} ${parts.join(" ")}`;
}

function brokenConstraint(plan: Plan, sweep: SweepSpec, metric: MetricOf): string | undefined {
  for (const { metric: name, min, max } of sweep.where) {
    const value = metric(plan, name);
    const limit = max !== undefined && value > max ? max : min !== undefined && value < min ? min : undefined;
    if (limit === undefined) continue;
    const show = /memory|bytes/.test(name) ? compactBytes : compactCount;
    const alike = show(value) === show(limit);
    const [got, allowed] = alike ? [value, limit] : [show(value), show(limit)];
    return `${name} is ${got}, ${value > limit ? "above" : "below"} the limit of ${allowed}`;
  }
  return undefined;
}
