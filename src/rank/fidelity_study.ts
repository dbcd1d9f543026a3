// The fidelity of a study's own shorter runs, or of a whole study against a longer or larger one: from what the folders
// measured to the table that `layermix fidelity` prints. Shares of a run are taken from the held-out evaluations along the
// way, so a shorter proxy costs nothing to try - with one caveat that the answer carries: a run cut short has not had
// its learning rate decay, which a run planned that short would have had.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { isFailure, type TrialResult } from "../study/outcome.js";
import type { StudyMeasurements, TrialMeasurements } from "../study/study_measurements.js";
import type { Metrics } from "../task/task.js";
import { commonSeeds } from "./common_seeds.js";
import { comparePairs } from "./compare.js";
import { kendallTau } from "./correlation.js";
import { commonShares, evaluationFor } from "./evaluation_shares.js";
import { extrapolate, extrapolateMean, type Forecast } from "./extrapolate.js";
import { type Agreement, agreement, noiseCeiling, randomRegret, type SeedTable } from "./fidelity.js";
import { measureDirection, measureOf } from "./measure.js";
import type { Interval, RankTask } from "./rank_types.js";
import { mean } from "./statistics.js";
import { taskLabels } from "./task_labels.js";

/** From this tau on, an order is called the same for practical purposes. */
export const goodTau = 0.8;

export interface FidelityRow extends Agreement {
  /** Of a full run. */
  readonly share: number;
  /** Over all compared trials, up to that share. */
  readonly tokens: number;
  readonly flops: number;
  /** Training seconds, from the timed trials; null where none was timed. */
  readonly seconds: number | null;
  /** tau of the curves extrapolated from here to the full run; null where a curve cannot carry it, and at the end. */
  readonly extrapolatedKendall: number | null;
}

/** Where a candidate's curve would be after twice the run, or why that cannot be said. */
export interface CandidateForecast {
  readonly candidate: string;
  readonly forecast: Forecast;
}

export interface FidelityBaseline {
  readonly by: "params" | "flops" | "random";
  readonly kendall: number | null;
  readonly spearman: number | null;
  readonly regret: { readonly 1: number; readonly 3: number };
}

export interface Fidelity {
  readonly by: string;
  readonly direction: "higher" | "lower";
  readonly confidence: number;
  readonly study: string;
  /** The study whose full runs are the truth; its own where it is not compared with another. */
  readonly against: string;
  /** Whether it is not compared with another; two studies may have one name. */
  readonly ownRuns: boolean;
  readonly candidates: readonly string[];
  readonly excluded: readonly { readonly candidate: string; readonly reason: string }[];
  readonly seeds: { readonly study: number; readonly against: number };
  readonly rows: readonly FidelityRow[];
  /** The smallest share from which on tau stays at `goodTau` or above; null where none does. */
  readonly shortest: number | null;
  /** Larger models first: what sorting by a number that needs no training gives. */
  readonly baselines: readonly FidelityBaseline[];
  /** tau between two halves of the truth's own seeds. */
  readonly noiseCeiling: number | null;
  /** Of the study's own curves, continued to twice their length. */
  readonly forecasts: readonly CandidateForecast[];
}

export interface FidelityChoice {
  readonly by?: string | undefined;
  readonly confidence?: number | undefined;
}

/** @throws LayermixError LMX7010 unknown measure, LMX7011 too little to compare. */
export function studyFidelity(
  study: StudyMeasurements,
  against: StudyMeasurements | undefined,
  choice: FidelityChoice = {},
): Fidelity {
  const by = choice.by ?? study.document.spec.rank.by;
  const confidence = choice.confidence ?? study.document.spec.rank.confidence;
  const [own, other] = [gather(study, by), against === undefined ? undefined : gather(against, by)];
  const truthOf = other ?? own;
  const names = [...own.complete.keys()].filter((name) => truthOf.complete.has(name));
  if (names.length < 3)
    throw tooFew(names.length, study, against, [...own.excluded, ...(other?.excluded ?? [])]);
  const sign = own.direction === "higher" ? 1 : -1;
  const truth = names.map((name) => finals(truthOf.complete.get(name)!).map((value) => sign * value));
  const apart = pairsApart(names, truth, confidence);
  const options = { confidence, sameRuns: other === undefined, apart };
  const rows = own.shares.map((share, index): FidelityRow => {
    const table = names.map((name) => own.complete.get(name)!.map((curve) => sign * curve[index]!));
    return {
      share,
      ...costAt(study, own, names, share),
      ...agreement(table, truth, options),
      extrapolatedKendall: extrapolated(own, names, index, truth, sign),
    };
  });
  const good = rows.map((row) => (row.kendall.value ?? -1) >= goodTau - 1e-9);
  const firstGood = good.lastIndexOf(false) + 1;
  return {
    by,
    direction: own.direction,
    confidence,
    study: study.document.name,
    against: (against ?? study).document.name,
    ownRuns: against === undefined,
    candidates: names,
    excluded: [...own.excluded, ...(other?.excluded ?? [])].filter(
      ({ candidate }) => !names.includes(candidate),
    ),
    seeds: { study: own.seeds.length, against: truthOf.seeds.length },
    rows,
    shortest: rows[firstGood]?.share ?? null,
    baselines: baselinesOf(study, names, truth),
    noiseCeiling: noiseCeiling(truth),
    forecasts: names.map((candidate) => ({
      candidate,
      forecast: extrapolate(curvesOf(own, candidate), 2, confidence, own.bounds),
    })),
  };
}

interface Gathered {
  readonly direction: "higher" | "lower";
  /** What the measure cannot leave. */
  readonly bounds: Interval;
  readonly shares: readonly number[];
  /** Those that every candidate has. */
  readonly seeds: readonly number[];
  /** Indices of the tasks that the measure needs. */
  readonly tasks: readonly number[];
  /** By candidate, for each seed the measure at each share. */
  readonly complete: ReadonlyMap<string, readonly (readonly number[])[]>;
  readonly excluded: readonly { readonly candidate: string; readonly reason: string }[];
}

const finals = (curves: readonly (readonly number[])[]) => curves.map((curve) => curve.at(-1)!);

/** The ranked measure along the runs of every candidate whose trials are all done. */
function gather({ document, trials }: StudyMeasurements, by: string): Gathered {
  const labels = taskLabels(document.spec.proxy?.tasks ?? []);
  const tasks = document.tasks.map(
    ({ weight, primary }, i): RankTask => ({ label: labels[i]!, weight, primary }),
  );
  const direction = measureDirection(by, tasks);
  if (direction === undefined) throw unknownMeasure(by, labels);
  const needed = by === "score" || by === "loss" ? tasks : tasks.filter(({ label }) => label === by);
  const neededIndices = needed.map((task) => tasks.indexOf(task));
  const shares = sharesOfAll(trials.filter(({ task }) => neededIndices.includes(task)));
  const seeds = commonSeeds(document);
  const complete = new Map<string, readonly (readonly number[])[]>();
  const excluded: { candidate: string; reason: string }[] = [];
  for (const [index, { name }] of document.candidates.entries()) {
    const own = trials.filter(
      ({ candidate, task, seed }) =>
        candidate === index && neededIndices.includes(task) && seeds.includes(seed),
    );
    const reason = whyIncomplete(own, seeds.length * needed.length);
    if (reason !== undefined) {
      excluded.push({ candidate: name, reason });
      continue;
    }
    const curves = seeds.map((seed) =>
      shares.map((share) => {
        const at = (task: RankTask) => {
          const trial = own.find((entry) => entry.seed === seed && entry.task === tasks.indexOf(task));
          return trial === undefined ? undefined : metricsAt(trial, share);
        };
        return measureOf(by, tasks, at) ?? Number.NaN;
      }),
    );
    complete.set(name, curves);
  }
  return {
    direction,
    bounds: boundsOf(by, tasks),
    shares,
    seeds,
    tasks: neededIndices,
    complete,
    excluded,
  };
}

function whyIncomplete(trials: readonly TrialMeasurements[], wanted: number): string | undefined {
  const results = trials.map(({ outcome }) => outcome);
  const done = results.filter(
    (outcome) => outcome !== undefined && "status" in outcome && outcome.status === "done",
  );
  if (done.length === wanted) return undefined;
  if (results.some((outcome) => outcome !== undefined && isFailure(outcome))) return "a trial failed";
  if (
    results.some((outcome) => outcome !== undefined && !isFailure(outcome) && outcome.status === "diverged")
  )
    return "a trial diverged";
  return `${done.length} of ${wanted} trials done`;
}

const stepsOf = ({ outcome }: TrialMeasurements) => (outcome as TrialResult).steps;

const sharesOf = (trial: TrialMeasurements): readonly number[] =>
  trial.evaluations.map(({ step }) => step / stepsOf(trial));

/** Shares of the run at which every finished trial was evaluated. */
function sharesOfAll(trials: readonly TrialMeasurements[]): readonly number[] {
  return commonShares(
    trials
      .filter(({ outcome }) => outcome !== undefined && "status" in outcome && outcome.status === "done")
      .map(sharesOf),
  );
}

function metricsAt(trial: TrialMeasurements, share: number): Metrics | undefined {
  return trial.evaluations[evaluationFor(sharesOf(trial), share)]?.metrics;
}

function pairsApart(
  names: readonly string[],
  truth: SeedTable,
  confidence: number,
): readonly (readonly [number, number])[] {
  const order = names.map((_, i) => i).sort((a, b) => mean(truth[b]!) - mean(truth[a]!));
  const entries = order.map((i) => ({
    candidate: names[i]!,
    values: new Map(truth[i]!.map((value, seed) => [seed, value])),
  }));
  return comparePairs(entries, "higher", confidence)
    .filter(({ significant }) => significant)
    .map(({ better, worse }) => [names.indexOf(better), names.indexOf(worse)] as const);
}

function costAt(
  { document, trials }: StudyMeasurements,
  { tasks, seeds }: Gathered,
  names: readonly string[],
  share: number,
) {
  let [tokens, flops, seconds, timed] = [0, 0, 0, 0];
  for (const { candidate, task, seed, timing } of trials) {
    const { name, taskFlopsPerToken } = document.candidates[candidate]!;
    if (!names.includes(name) || !tasks.includes(task) || !seeds.includes(seed)) continue;
    const own = share * document.tasks[task]!.tokens;
    tokens += own;
    flops += own * taskFlopsPerToken[task]!;
    if (timing === undefined) continue;
    seconds += share * timing.trainSeconds;
    timed += 1;
  }
  return { tokens: Math.round(tokens), flops: Math.round(flops), seconds: timed === 0 ? null : seconds };
}

/** A candidate's curves up to a point of the run, one per seed. */
function curvesOf({ complete, shares }: Gathered, name: string, index = shares.length - 1) {
  return complete
    .get(name)!
    .map((curve) => shares.slice(0, index + 1).map((at, i) => ({ at, value: curve[i]! })));
}

function boundsOf(by: string, tasks: readonly RankTask[]): Interval {
  if (by === "score") return [0, 100];
  const accuracy = tasks.find(({ label }) => label === by)?.primary.name === "accuracy";
  return [0, accuracy ? 1 : Number.POSITIVE_INFINITY];
}

/** The order of the curves extrapolated from the first `index + 1` points to the end, against the truth. */
function extrapolated(
  own: Gathered,
  names: readonly string[],
  index: number,
  truth: SeedTable,
  sign: number,
): number | null {
  if (index === own.shares.length - 1) return null;
  const values = names.map((name) => {
    const forecast = extrapolateMean(curvesOf(own, name, index), 1);
    return forecast === undefined ? undefined : sign * forecast;
  });
  if (values.includes(undefined)) return null;
  return kendallTau(values as number[], truth.map(mean));
}

function baselinesOf(
  { document }: StudyMeasurements,
  names: readonly string[],
  truth: SeedTable,
): readonly FidelityBaseline[] {
  const target = truth.map(mean);
  const candidates = names.map((name) => document.candidates.find((entry) => entry.name === name)!);
  const byNumber = (by: "params" | "flops", values: readonly number[]): FidelityBaseline => {
    const result = agreement(
      values.map((value) => [value]),
      truth.map((list) => [mean(list)]),
      { confidence: 0.95, sameRuns: false, apart: [] },
    );
    return {
      by,
      kendall: result.kendall.value,
      spearman: result.spearman.value,
      regret: { 1: result.regret[1].value!, 3: result.regret[3].value! },
    };
  };
  return [
    byNumber(
      "params",
      candidates.map(({ proxy }) => proxy.params),
    ),
    byNumber(
      "flops",
      candidates.map(({ proxy }) => proxy.flopsPerToken),
    ),
    {
      by: "random",
      kendall: 0,
      spearman: 0,
      regret: { 1: randomRegret(1, target), 3: randomRegret(3, target) },
    },
  ];
}

function unknownMeasure(by: string, labels: readonly string[]): LayermixError {
  return new LayermixError(
    {
      code: "LMX7010",
      severity: "error",
      message: `Expected a measure that both studies have, got ${by}`,
      help: [`this study can be ranked by: ${["score", "loss", ...labels].join(", ")}`],
    },
    exitCodes.usage,
  );
}

/** More than so many lines of help are no help. */
const mostReasons = 6;

function tooFew(
  count: number,
  study: StudyMeasurements,
  against: StudyMeasurements | undefined,
  excluded: Fidelity["excluded"],
): LayermixError {
  const where = against === undefined ? study.folder : `both ${study.folder} and ${against.folder}`;
  return new LayermixError(
    {
      code: "LMX7011",
      severity: "error",
      message: `Expected at least 3 candidates with all trials done in ${where}, got ${count}`,
      help: [
        ...new Set(excluded.map(({ candidate, reason }) => `${candidate}: ${reason}`)),
        against === undefined
          ? "An order of fewer says nothing; layermix status shows what is missing."
          : "Candidates are the same where their names are: the axes and values of both sweeps must agree.",
      ].slice(-mostReasons),
    },
    exitCodes.infeasible,
  );
}
