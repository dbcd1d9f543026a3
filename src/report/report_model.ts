// What a report shows, gathered from what a study measured: no markup, no layout, no clock, so that the same study gives
// the same page.

import { LayermixError } from "../diag/diagnostic.js";
import { planCandidates } from "../estimate/candidates.js";
import { kvBytesPerToken, stateBytesPerSequence } from "../estimate/estimate.js";
import { metricOf } from "../estimate/metrics.js";
import { sweepPlanner } from "../plan/expand_sweep.js";
import type { Plan } from "../plan/plan_types.js";
import type { Hardware } from "../project/hardware.js";
import { project } from "../project/project.js";
import { significantPairs } from "../rank/compare.js";
import { type Fidelity, studyFidelity } from "../rank/fidelity_study.js";
import { tieLetters } from "../rank/letters.js";
import { rankStudy } from "../rank/rank_study.js";
import type { RankedCandidate, Ranking } from "../rank/rank_types.js";
import { mean } from "../rank/statistics.js";
import { taskLabels } from "../rank/task_labels.js";
import { isFailure } from "../study/outcome.js";
import type { StudyCandidate, StudyDocument } from "../study/study_document.js";
import type { StudyMeasurements, TrialMeasurements } from "../study/study_measurements.js";

export interface ReportCandidate {
  /** Place in the study, which colours and data-c go by. */
  readonly index: number;
  readonly study: StudyCandidate;
  readonly ranked: RankedCandidate;
  /** Value on the swept axis; undefined where there is no such axis. */
  readonly axisValue: number | undefined;
  readonly letters: string;
  /** What the trials took. */
  readonly tokens: number;
  readonly plannedTokens: number;
  /** Training FLOPs of those tokens. */
  readonly flops: number;
  readonly plannedFlops: number;
  /** Of training steps, added over trials; of the mean trial. Absent while nothing has been timed. */
  readonly seconds?: number;
  readonly tokensPerSecond?: number;
  readonly flopsPerSecond?: number;
  /** KV cache and recurrent state of one sequence at the context of the report, bytes; undefined where not known. */
  readonly cacheBytes: number | undefined;
  /** One decode step on the study's hardware at that context; undefined where not known. */
  readonly decodeSeconds: number | undefined;
}

/** The device that decoding is projected onto, and how many sequences at a time. */
export interface ReportServing {
  readonly hardware: Hardware;
  readonly batch: number;
}

/** The one thing that a sweep varies in numbers. */
export interface ReportAxis {
  readonly title: string;
  /** Values are shares. */
  readonly isShare: boolean;
}

/** The value of one candidate on one task along the run: mean over seeds with its spread. */
export interface ReportCurve {
  readonly candidate: number;
  readonly points: readonly {
    readonly tokens: number;
    readonly mean: number;
    readonly low: number;
    readonly high: number;
  }[];
}

export interface ReportTask {
  readonly label: string;
  readonly title: string;
  readonly direction: "higher" | "lower";
  /** Curves of the task's own figure on held-out data; of the training loss where it was not measured on the way. */
  readonly heldOut: boolean;
  readonly curves: readonly ReportCurve[];
}

/** A figure by how much is asked at once: entries of a phone book, or one task in several sizes. */
export interface ReportLengths {
  readonly title: string;
  readonly unit: string;
  readonly curves: readonly {
    readonly candidate: number;
    readonly points: readonly (readonly [length: number, value: number])[];
  }[];
}

export interface ReportProblem {
  readonly where: string;
  readonly what: string;
  readonly words: readonly string[];
}

export interface ReportModel {
  readonly document: StudyDocument;
  readonly ranking: Ranking;
  /** Best first, as ranked. */
  readonly candidates: readonly ReportCandidate[];
  readonly axis: ReportAxis | undefined;
  readonly tasks: readonly ReportTask[];
  readonly lengths: readonly ReportLengths[];
  readonly fidelities: readonly Fidelity[];
  readonly problems: readonly ReportProblem[];
  /** Context that cacheBytes counts, tokens. */
  readonly context: number;
  readonly serving: ReportServing | undefined;
  /** Compiler and vector width of the native library, and devices, as the trials recorded them. */
  readonly builds: readonly string[];
  readonly devices: readonly string[];
  /** The study file as it ran. */
  readonly source: string;
}

/** @throws LayermixError LMX7010 for a measure that the study does not have. */
export function reportModel(
  measurements: StudyMeasurements,
  source: string,
  choice: { readonly by?: string | undefined; readonly serving?: ReportServing | undefined } = {},
): ReportModel {
  const { document, trials } = measurements;
  const ends = new Map(
    trials.map((trial) => [`${trial.id} ${trial.until ?? ""}`, trial.outcome ?? trial.rung]),
  );
  const ranking = rankStudy(document, (id, until) => ends.get(`${id} ${until ?? ""}`), choice);
  const labels = taskLabels(document.spec.proxy?.tasks ?? []);
  const axis = sweptAxis(document);
  const context = Math.max(...(document.spec.project?.contexts ?? [32_768]));
  const timings = trials.flatMap(({ timing }) => (timing === undefined ? [] : [timing]));
  return {
    document,
    ranking,
    candidates: describeCandidates(measurements, ranking, axis?.path, context, choice.serving),
    axis,
    tasks: document.tasks.map((_, task) => taskCurves(measurements, task, labels[task]!)),
    lengths: lengthCurves(document, ranking),
    fidelities: fidelities(measurements, [ranking.by, ...labels]),
    problems: problemsOf(measurements, labels),
    context,
    serving: choice.serving,
    builds: [...new Set(timings.map(({ build }) => build))],
    devices: [...new Set(timings.map(({ device }) => device))],
    source,
  };
}

/** The path on which candidates differ in numbers, when there is exactly one. */
function sweptAxis({ candidates }: StudyDocument): (ReportAxis & { readonly path: string }) | undefined {
  const paths = new Set(candidates.flatMap(({ values }) => Object.keys(values)));
  const varied = [...paths].filter((path) => new Set(candidates.map(({ values }) => values[path])).size > 1);
  const [path] = varied;
  if (path === undefined || varied.length > 1) return undefined;
  if (!candidates.every(({ values }) => typeof values[path] === "number")) return undefined;
  const isShare = path.startsWith("mix.");
  return { path, isShare, title: isShare ? `share of ${path.slice(4)} layers` : path };
}

function describeCandidates(
  { document, trials }: StudyMeasurements,
  ranking: Ranking,
  axisPath: string | undefined,
  context: number,
  serving: ReportServing | undefined,
): readonly ReportCandidate[] {
  const names = ranking.ranking.filter(({ score }) => score !== null).map(({ candidate }) => candidate);
  const letters = tieLetters(names, significantPairs(ranking.comparisons));
  const plans = plansOf(document);
  return ranking.ranking.map((ranked): ReportCandidate => {
    const index = document.candidates.findIndex(({ name }) => name === ranked.candidate);
    const study = document.candidates[index]!;
    const own = trials.filter(({ candidate }) => candidate === index);
    const timed = own.flatMap(({ timing, task }) =>
      timing === undefined ? [] : [{ ...timing, flopsPerToken: study.taskFlopsPerToken[task]! }],
    );
    const plan = plans.get(study.name);
    const axisValue = axisPath === undefined ? undefined : (study.values[axisPath] as number);
    return {
      index,
      study,
      ranked,
      axisValue,
      letters: letters?.get(study.name) ?? "",
      tokens: sum(own.map(tokensSeen)),
      plannedTokens: sum(own.map(({ task }) => document.tasks[task]!.tokens)),
      flops: sum(own.map((trial) => tokensSeen(trial) * study.taskFlopsPerToken[trial.task]!)),
      plannedFlops: sum(own.map(({ task }) => document.tasks[task]!.tokens * study.taskFlopsPerToken[task]!)),
      ...(timed.length > 0 && {
        seconds: sum(timed.map(({ trainSeconds }) => trainSeconds)),
        tokensPerSecond: mean(timed.map(({ tokensPerSecond }) => tokensPerSecond)),
        flopsPerSecond: mean(
          timed.map(({ tokensPerSecond, flopsPerToken }) => tokensPerSecond * flopsPerToken),
        ),
      }),
      cacheBytes:
        plan === undefined ? undefined : kvBytesPerToken(plan) * context + stateBytesPerSequence(plan),
      decodeSeconds:
        plan === undefined || serving === undefined
          ? undefined
          : project(plan, { ...serving, contexts: [context] }).points[0]!.decodeTokenSeconds,
    };
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function tokensSeen({ outcome, rung, training, evaluations }: TrialMeasurements): number {
  if (outcome !== undefined && !isFailure(outcome)) return outcome.tokens;
  if (rung !== undefined) return rung.tokens;
  return evaluations.length === 0 && training.length === 0 ? 0 : (training.at(-1)?.tokens ?? 0);
}

/** The candidates' plans, made again; none for candidates that this version would plan otherwise. */
function plansOf(document: StudyDocument): ReadonlyMap<string, Plan> {
  try {
    const { sweep } = document.spec;
    if (sweep === undefined) {
      return new Map(planCandidates(document.spec).candidates.map(({ name, plan }) => [name, plan]));
    }
    const planPoint = sweepPlanner(document.spec, (plan, metric) => metricOf(plan, metric));
    return new Map(
      document.candidates.flatMap(({ name, values, pattern }) => {
        const planned = planPoint({ name, values });
        return "plan" in planned && planned.plan.pattern === pattern ? [[name, planned.plan] as const] : [];
      }),
    );
  } catch (error) {
    if (error instanceof LayermixError) return new Map();
    throw error;
  }
}

/** Enough points for a line of a few hundred pixels. */
const curvePoints = 60;

function taskCurves({ document, trials }: StudyMeasurements, task: number, label: string): ReportTask {
  const { primary, batchTokens } = document.tasks[task]!;
  const own = trials.filter((trial) => trial.task === task);
  const heldOut = own.some(({ evaluations }) => evaluations.length >= 4);
  const curves = document.candidates.flatMap((_, candidate): ReportCurve[] => {
    const seeds = own
      .filter((trial) => trial.candidate === candidate)
      .map((trial) =>
        heldOut
          ? trial.evaluations.map(({ step, metrics }) => [step * batchTokens, metrics[primary.name]] as const)
          : thinned(trial.training.map(({ tokens, loss }) => [tokens, loss ?? undefined] as const)),
      )
      .filter((points) => points.length > 1);
    if (seeds.length === 0) return [];
    const byTokens = new Map<number, number[]>();
    for (const [tokens, value] of seeds.flat()) {
      if (value === undefined || !Number.isFinite(value)) continue;
      byTokens.set(tokens, [...(byTokens.get(tokens) ?? []), value]);
    }
    const points = [...byTokens]
      .sort(([a], [b]) => a - b)
      .map(([tokens, values]) => ({
        tokens,
        mean: mean(values),
        low: Math.min(...values),
        high: Math.max(...values),
      }));
    return [{ candidate, points }];
  });
  const title = heldOut ? `${label}: ${primary.title}` : `${label}: training loss`;
  return { label, title, direction: heldOut ? primary.direction : "lower", heldOut, curves };
}

/** At most `curvePoints` points, each the mean of the steps it stands for. */
function thinned(
  points: readonly (readonly [number, number | undefined])[],
): readonly (readonly [number, number | undefined])[] {
  const size = Math.ceil(points.length / curvePoints);
  if (size <= 1) return points;
  return Array.from({ length: Math.floor(points.length / size) }, (_, i) => {
    const part = points.slice(i * size, (i + 1) * size);
    const values = part.flatMap(([, value]) => (value === undefined ? [] : [value]));
    return [part.at(-1)![0], values.length === 0 ? undefined : mean(values)] as const;
  });
}

/** Phone books by entries, and tasks that a study asks in several sizes. */
function lengthCurves(document: StudyDocument, ranking: Ranking): readonly ReportLengths[] {
  const indexOf = (name: string) => document.candidates.findIndex((candidate) => candidate.name === name);
  const books = ranking.tasks.flatMap(({ label, primary }): ReportLengths[] => {
    const curves = ranking.ranking.flatMap(({ candidate, tasks }) => {
      const points = Object.entries(tasks[label]?.byEntries ?? {}).map(
        ([n, value]) => [Number(n), value] as const,
      );
      return points.length < 2
        ? []
        : [{ candidate: indexOf(candidate), points: points.sort(([a], [b]) => a - b) }];
    });
    return curves.length === 0 ? [] : [{ title: `${label}: ${primary.title}`, unit: "entries", curves }];
  });
  return [...books, ...taskFamilies(document, ranking, indexOf)];
}

function taskFamilies(
  { spec }: StudyDocument,
  ranking: Ranking,
  indexOf: (name: string) => number,
): readonly ReportLengths[] {
  const tasks = spec.proxy?.tasks ?? [];
  return [...new Set(tasks.map(({ task }) => task))].flatMap((task): ReportLengths[] => {
    const members = tasks.flatMap((entry, i) =>
      entry.task === task ? [{ entry, ranked: ranking.tasks[i]! }] : [],
    );
    const options = [...new Set(members.flatMap(({ entry }) => Object.keys(entry.options)))];
    const option = options.find((name) => {
      const values = members.map(({ entry }) => entry.options[name]);
      return values.every((value) => typeof value === "number") && new Set(values).size > 1;
    });
    if (members.length < 2 || option === undefined) return [];
    const curves = ranking.ranking.flatMap(({ candidate, tasks: columns }) => {
      const points = members.flatMap(({ entry, ranked }) => {
        const value = columns[ranked.label]?.mean;
        return value === null || value === undefined
          ? []
          : [[entry.options[option] as number, value] as const];
      });
      return points.length < 2
        ? []
        : [{ candidate: indexOf(candidate), points: points.sort(([a], [b]) => a - b) }];
    });
    const { title } = members[0]!.ranked.primary;
    return curves.length === 0 ? [] : [{ title: `${task}: ${title}`, unit: option, curves }];
  });
}

function fidelities(measurements: StudyMeasurements, measures: readonly string[]): readonly Fidelity[] {
  return [...new Set(measures)].flatMap((by) => {
    try {
      const fidelity = studyFidelity(measurements, undefined, { by });
      return fidelity.rows.length < 3 ? [] : [fidelity];
    } catch (error) {
      // Too few finished candidates to have an order: the report does without.
      if (error instanceof LayermixError) return [];
      throw error;
    }
  });
}

function problemsOf(
  { document, trials }: StudyMeasurements,
  labels: readonly string[],
): readonly ReportProblem[] {
  const failed = trials.flatMap(({ outcome, candidate, task, seed, training }): ReportProblem[] => {
    const where = `${document.candidates[candidate]!.name}, ${labels[task]}, seed ${seed}`;
    if (outcome === undefined) return [];
    if (isFailure(outcome))
      return [{ where, what: `${outcome.code}: ${outcome.message}`, words: outcome.stderr }];
    if (outcome.status !== "diverged") return [];
    const last = training.filter(({ loss }) => loss !== null).at(-1);
    const seen = last === undefined ? "" : `, last loss ${last.loss!.toFixed(3)}`;
    return [
      { where, what: `the loss was no longer a number after ${outcome.steps} steps${seen}`, words: [] },
    ];
  });
  return [
    ...failed,
    ...document.dropped.map(({ name, reason }) => ({ where: name, what: `dropped: ${reason}`, words: [] })),
  ];
}
