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
import { compactBytes, compactCount } from "./words.js";

export interface ExpandedSweep {
  readonly candidates: readonly Candidate[];
  readonly dropped: readonly DroppedCandidate[];
}

/**
 * The candidates of a study in the order of its axes; the model itself, under the study's name, when there is
 * no sweep.
 * @throws LayermixError LMX2014 when nothing is left, or as plan() when there is no sweep or the match target
 * fails
 */
export function expandSweep(spec: Spec, metric: MetricOf): ExpandedSweep {
  const { sweep } = spec;
  const resolver = createBlockResolver();
  if (sweep === undefined || sweep.over.length === 0) {
    return {
      candidates: [{ name: spec.name, values: {}, plan: planModel(spec.model, spec.name, resolver) }],
      dropped: [],
    };
  }
  const target: MatchTarget | undefined = sweep.match && {
    ...sweep.match,
    value: metric(plan(spec), sweep.match.on),
  };
  const candidates: Candidate[] = [];
  const dropped: DroppedCandidate[] = [];
  const seen = new Map<string, string>();
  const optionTexts = new WeakMap<object, string>();
  for (const point of sweepPoints(sweep.over)) {
    const outcome = planPoint(point);
    if (typeof outcome === "string") dropped.push({ ...point, reason: outcome });
    else candidates.push({ ...point, plan: outcome });
  }
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

  /** The plan of a point, or the reason why it is not kept. */
  function planPoint({ name, values }: SweepPoint): Plan | string {
    let planned: Plan;
    try {
      const model = pointModel(spec.model, sweep!, values);
      planned =
        target === undefined
          ? planModel(model, name, resolver)
          : matchSize(model, name, target, metric, resolver);
    } catch (error) {
      if (error instanceof LayermixError) return error.diagnostics.map(({ message }) => message).join("; ");
      throw error;
    }
    const key = identity(planned, optionTexts);
    const twin = seen.get(key);
    if (twin !== undefined) return `same layers and sizes as ${twin}`;
    seen.set(key, name);
    return brokenConstraint(planned, sweep!, metric) ?? planned;
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
  return `${plan.pattern} ${plan.hidden} ${plan.vocab} ${plan.tieEmbeddings} ${plan.normEps} ${parts.join(" ")}`;
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
