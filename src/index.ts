// The public library API: what `import ... from "layermix"` gives.
export { type Diagnostic, exitCodes, LayermixError } from "./diag/diagnostic.js";
export { planCandidates, proxyPlan } from "./estimate/candidates.js";
export type { Cost, FlopCount, ParameterCount, TrainingMemory } from "./estimate/cost.js";
export { type EstimateOptions, estimate } from "./estimate/estimate.js";
export { type ParsedPattern, parsePattern } from "./plan/parse_pattern.js";
export { patternFromRatios } from "./plan/pattern_from_ratios.js";
export { plan } from "./plan/plan.js";
export type { Candidate, DroppedCandidate, Plan, PlanNote, PlannedLayer } from "./plan/plan_types.js";
export { rank } from "./rank/rank.js";
export type { RankInput, Ranking } from "./rank/rank_types.js";
export { type LoadOptions, loadStudy } from "./spec/load_study.js";
export type { LoadedStudy } from "./spec/parse_study.js";
export type { Spec } from "./spec/spec.js";
