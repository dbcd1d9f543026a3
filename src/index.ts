// The public library API: what `import { plan, estimate } from "layermix"` gives. Everything here keeps its meaning within a
// major version; other files of the package are not for import.
//
//   const { spec } = await loadStudy("preset:mamba2-hybrid-8b"); // or a path; throws LayermixError
//   const model = plan(spec);                                    // model.pattern, model.counts, model.layers
//   const cost = estimate(model, { sequence: 4096, batch: 1, precision: "bf16" });
//   cost.params.total;                                           // plain numbers: parameters, FLOPs, bytes

export {
  type Diagnostic,
  type DiagnosticCode,
  type ExitCode,
  exitCodes,
  LayermixError,
  type SourcePosition,
} from "./diag/diagnostic.js";
export { planCandidates, proxyPlan } from "./estimate/candidates.js";
export type { Cost, FlopCount, ParameterCount, TrainingMemory } from "./estimate/cost.js";
export { type EstimateOptions, estimate } from "./estimate/estimate.js";
export type { TrainingPrecision } from "./estimate/training_memory.js";
export type { ExpandedSweep } from "./plan/expand_sweep.js";
export { type ParsedPattern, parsePattern } from "./plan/parse_pattern.js";
export { patternFromRatios } from "./plan/pattern_from_ratios.js";
export { plan } from "./plan/plan.js";
export type { Candidate, DroppedCandidate, Plan, PlanNote, PlannedLayer } from "./plan/plan_types.js";
export type { Hardware } from "./project/hardware.js";
export { loadHardware } from "./project/load_hardware.js";
export { type ProjectOptions, project } from "./project/project.js";
export type { Projection, ProjectionPoint } from "./project/projection.js";
export { rank } from "./rank/rank.js";
export type {
  RankCandidate,
  RankedCandidate,
  RankInput,
  Ranking,
  RankOutcome,
  RankTask,
} from "./rank/rank_types.js";
export { type LoadOptions, loadStudy } from "./spec/load_study.js";
export type { LoadedStudy } from "./spec/parse_study.js";
export type { ModelSpec, ProxySpec, Spec, SweepSpec } from "./spec/spec.js";
