// A planned model as `layermix plan --json` prints it: data.models[]. Plain numbers throughout; scripts rely
// on the names.

import type { Cost } from "../estimate/cost.js";
import type { Plan } from "../plan/plan_types.js";

/** A plan under the name it is shown by, with its cost. */
export interface PlannedModel {
  readonly name: string;
  readonly plan: Plan;
  readonly cost: Cost;
  /** Axis values, for a candidate of a sweep. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** One entry of data.models[]. */
export function planJson({ name, plan, cost, values }: PlannedModel) {
  return {
    name,
    ...(values === undefined ? {} : { values }),
    pattern: plan.pattern,
    layers: plan.layers.length,
    counts: plan.counts,
    hidden: plan.hidden,
    vocab: plan.vocab,
    ...cost,
    notes: plan.notes,
  };
}
