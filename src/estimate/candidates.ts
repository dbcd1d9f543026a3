// A study's candidates and their proxies with real costs: expandSweep and planProxy of plan/, given
// estimate's metrics.

import { type ExpandedSweep, expandSweep } from "../plan/expand_sweep.js";
import type { MetricOf } from "../plan/match.js";
import type { Candidate, Plan } from "../plan/plan_types.js";
import { planProxy } from "../plan/proxy.js";
import type { Spec } from "../spec/spec.js";
import { defaultEstimateOptions, type EstimateOptions } from "./estimate.js";
import { metricOf } from "./metrics.js";

/**
 * The candidates of a study, kept and dropped, in the order of its axes. FLOPs and memory (for `match` and
 * `where`) are those of one step of `options`; `seed` draws the points of axes that are ranges.
 * @throws LayermixError LMX2xxx when no candidate is left, or the model itself cannot be built
 */
export function planCandidates(
  spec: Spec,
  options: EstimateOptions = defaultEstimateOptions,
  seed = 0,
): ExpandedSweep {
  return expandSweep(spec, (plan, metric) => metricOf(plan, metric, options), seed);
}

/**
 * The plan that a candidate's trials run: proxy.model's depth and width, the candidate's mix. A vocabulary
 * that comes from the task has to be in proxy.model, so that matching counts what is trained.
 * @param stepSeconds time of a training step on the device, for `match: { step_time }`; without it such a study is
 * planned as if it matched nothing.
 * @throws LayermixError LMX2xxx
 */
export function proxyPlan(spec: Spec, candidate: Candidate, stepSeconds?: (plan: Plan) => number): Plan {
  const { sweep } = spec;
  if (sweep?.match?.on !== "step_time") return planProxy(spec, candidate, proxyMetric(spec));
  if (stepSeconds !== undefined) return planProxy(spec, candidate, stepSeconds);
  const { match: _, ...unmatched } = sweep;
  return planProxy({ ...spec, sweep: unmatched }, candidate, proxyMetric(spec));
}

/** Matching proxies by FLOPs counts one step of the proxy run, not of the full model's. */
function proxyMetric(spec: Spec): MetricOf {
  const { proxy } = spec;
  const options: EstimateOptions =
    proxy === undefined
      ? defaultEstimateOptions
      : {
          sequence: proxy.sequence,
          batch: Math.max(1, Math.round(proxy.batchTokens / proxy.sequence)),
          precision: "fp32",
        };
  return (plan, metric) => metricOf(plan, metric, options);
}
