// A study at one moment: its document, the jobs to run, and the view a strategy decides by. A pure function of the space,
// the decisions so far and the results so far, so a process that was killed, and one that joins, sees the same study.

import { measureDirection, measureOf } from "../rank/measure.js";
import { taskLabels } from "../rank/task_labels.js";
import { studyFormat } from "../study/json_file.js";
import type {
  LearningRateChoice,
  StudyDocument,
  StudyPilot,
  StudyTask,
  StudyTrial,
} from "../study/study_document.js";
import type { TrialFile, TrialJob } from "../study/trial.js";
import type { Metrics } from "../task/task.js";
import type { Decision, SearchView, Value } from "./decision.js";
import { chooseLearningRate, pilotLoss, type RatePilots } from "./learning_rate.js";
import type { Finalist } from "./more_seeds.js";
import {
  affordable,
  candidatesOf,
  pilotsOf,
  type RateOf,
  type StudyEntry,
  studyEntries,
} from "./study_entries.js";
import type { ReadyTask, SpaceCandidate, StudySpace } from "./study_space.js";

/** What is known of a trial at a step: its figures; "failed" when it ended before; undefined while it is not there. */
export type Known = (id: string, step: number) => Metrics | "failed" | undefined;

export interface StudyState {
  readonly document: StudyDocument;
  /** Definitions of all trials that are known by now. */
  readonly files: readonly TrialFile[];
  /** What is to run, each trial once and to the farthest step that was asked, in order. */
  readonly jobs: readonly TrialJob[];
  /** Trials are decided whose learning rate is not known yet. */
  readonly pending: boolean;
  /** The budget leaves something out. */
  readonly exhausted: boolean;
  /** What is to run in all: distinct trials, pilot runs included, and what they take. */
  readonly cost: { readonly trials: number; readonly tokens: number; readonly flops: number };
  /** Whether every trial that is to run has got where it was to go. */
  settled(): boolean;
  view(idle: number): SearchView;
  /** Candidates that have run to the end with all the seeds they were given. */
  finalists(): readonly Finalist[];
}

export function studyState(
  space: StudySpace,
  decisions: readonly Decision[],
  known: Known,
  over: boolean,
): StudyState {
  const candidates = candidatesOf(space, decisions);
  const choices = learningRates(space, candidates, known);
  const rateOf: RateOf = (candidate, task) => {
    if (space.spec.proxy.optimizer.learningRateSweep === undefined) return undefined;
    return choices(candidate)[task]!.chosen ?? "open";
  };
  const entries = studyEntries(space, candidates, decisions, rateOf);
  const budget = space.spec.sweep?.budget;
  const paid =
    budget === undefined || budget.unit === "hours"
      ? entries.length
      : affordable(entries, budget.unit, budget.limit);
  const admitted = entries.slice(0, paid);
  const measuresOf = seedMeasures(space, candidates, rateOf, known);
  const exhausted = paid < entries.length;
  const pending = admitted.some(({ file }) => file === undefined);
  return {
    get document() {
      return describe();
    },
    get cost() {
      return costOf(space, candidates, admitted);
    },
    files: [
      ...new Map(entries.flatMap(({ file }) => (file === undefined ? [] : [[file.id, file]]))).values(),
    ],
    jobs: jobsOf(admitted),
    pending,
    exhausted,
    settled: () =>
      admitted.every(({ file, until }) => file !== undefined && known(file.id, until) !== undefined),
    view: (idle) => ({
      decisions,
      initial: space.initial.length,
      candidates: candidates.length,
      idle,
      value: (candidate, rung) => combine(measuresOf(candidate, rung, space.spec.proxy.seeds)),
    }),
    finalists: () => finalistsOf(decisions, space, measuresOf),
  };

  function describe(): StudyDocument {
    const pilots = entries.flatMap((entry): StudyPilot[] =>
      entry.pilotRate === undefined ? [] : [{ ...placeOf(entry), learningRate: entry.pilotRate }],
    );
    const seeds = [
      ...new Set(entries.filter(({ pilotRate }) => pilotRate === undefined).map(({ seed }) => seed)),
    ];
    return {
      format: studyFormat,
      name: space.spec.name,
      layermix: space.options.version,
      device: space.options.device,
      spec: space.spec,
      candidates: candidates.map(({ described }, candidate) =>
        space.spec.proxy.optimizer.learningRateSweep === undefined
          ? described
          : { ...described, learningRates: choices(candidate) },
      ),
      dropped: space.dropped.map(({ name, reason }) => ({ name, reason })),
      tasks: space.tasks.map(describeTask),
      seeds: seeds.sort((a, b) => a - b),
      trials: trialsOf(space, entries, paid, new Set(decisions.flatMap(({ prune }) => prune ?? []))),
      ...(pilots.length === 0 ? {} : { pilots }),
      search: {
        strategy: space.strategy.kind,
        rungs: space.rungShares,
        decisions: decisions.map(({ reason }) => reason),
        over: (over && !pending) || exhausted,
        ...(budget === undefined
          ? {}
          : {
              budget: {
                ...budget,
                asked: budget.unit === "hours" ? null : total(admitted, budget.unit),
                exhausted,
              },
            }),
      },
    };
  }
}

/** By candidate: the choice of every task. Looked up once per candidate. */
function learningRates(
  space: StudySpace,
  candidates: readonly SpaceCandidate[],
  known: Known,
): (candidate: number) => readonly LearningRateChoice[] {
  const found = new Map<number, readonly LearningRateChoice[]>();
  return (candidate) => {
    const choices = found.get(candidate) ?? choose(candidate);
    found.set(candidate, choices);
    return choices;
  };

  function choose(candidate: number): readonly LearningRateChoice[] {
    const pilots = pilotsOf(space, candidates[candidate]!, candidate);
    const { rates } = space.spec.proxy.optimizer.learningRateSweep!;
    return [...space.tasks.keys()].map((task) => {
      const tried = rates.map((learningRate): RatePilots => {
        const runs = pilots.filter((pilot) => pilot.task === task && pilot.pilotRate === learningRate);
        return { learningRate, losses: runs.map(({ file, until }) => lossOf(known(file!.id, until))) };
      });
      const chosen = chooseLearningRate(tried);
      return {
        task,
        ...(chosen === undefined ? {} : { chosen }),
        tried: tried.map((pilot) => {
          const loss = pilotLoss(pilot);
          return { learningRate: pilot.learningRate, ...(loss === undefined ? {} : { loss }) };
        }),
      };
    });
  }
}

function lossOf(known: Metrics | "failed" | undefined): number | "failed" | undefined {
  return typeof known === "object" ? known.loss : known;
}

/** The measure of a candidate at a rung by seed, higher is better. */
type SeedMeasures = (candidate: number, rung: number, seeds: number) => readonly Value[];

function seedMeasures(
  space: StudySpace,
  candidates: readonly SpaceCandidate[],
  rateOf: RateOf,
  known: Known,
): SeedMeasures {
  const { by } = space.spec.rank;
  const labels = taskLabels(space.spec.proxy.tasks);
  const tasks = space.tasks.map(({ spec, task }, i) => ({
    label: labels[i]!,
    weight: spec.weight,
    primary: task.primary,
  }));
  const sign = measureDirection(by, tasks) === "lower" ? -1 : 1;
  return (candidate, rung, seeds) =>
    Array.from({ length: seeds }, (_, index) => measureWith(candidate, rung, index));

  function measureWith(candidate: number, rung: number, index: number): Value {
    const metrics = space.tasks.map(({ budget }, task) => {
      const rate = rateOf(candidate, task);
      if (rate === "open") return undefined;
      const seed = space.options.seed + index;
      const variant = rate === undefined ? { seed } : { seed, learningRate: rate };
      return known(candidates[candidate]!.trial(task, variant).id, budget.rungs[rung]!);
    });
    if (metrics.includes("failed")) return "failed";
    if (metrics.includes(undefined)) return "open";
    const value = measureOf(by, tasks, (task) => metrics[labels.indexOf(task.label)] as Metrics);
    return value === undefined ? "failed" : sign * value;
  }
}

/** The mean over seeds; open while one is missing, failed as soon as one has failed. */
function combine(values: readonly Value[]): Value {
  if (values.includes("failed")) return "failed";
  if (values.includes("open")) return "open";
  return (values as readonly number[]).reduce((sum, value) => sum + value, 0) / values.length;
}

function finalistsOf(
  decisions: readonly Decision[],
  space: StudySpace,
  measuresOf: SeedMeasures,
): readonly Finalist[] {
  const last = space.rungShares.length - 1;
  const seeds = new Map<number, number>();
  for (const { run } of decisions) {
    for (const assignment of run) {
      if (assignment.rung !== last) continue;
      const count = assignment.seeds ?? space.spec.proxy.seeds;
      seeds.set(assignment.candidate, Math.max(count, seeds.get(assignment.candidate) ?? 0));
    }
  }
  return [...seeds].flatMap(([candidate, count]): Finalist[] => {
    const values = measuresOf(candidate, last, count);
    return values.every((value) => typeof value === "number")
      ? [{ candidate, values: values as number[] }]
      : [];
  });
}

/** Each trial once, to the farthest step asked of it, where it was asked for it last. */
function jobsOf(entries: readonly StudyEntry[]): readonly TrialJob[] {
  const jobs = new Map<string, TrialJob>();
  for (const { file, until } of entries) {
    if (file === undefined) continue;
    const farthest = Math.max(until, jobs.get(file.id)?.until ?? 0);
    jobs.delete(file.id);
    jobs.set(file.id, { id: file.id, until: farthest });
  }
  return [...jobs.values()];
}

/** The trials of the ranking, each place once; what the budget leaves out is there and waits. */
function trialsOf(
  space: StudySpace,
  entries: readonly StudyEntry[],
  paid: number,
  pruned: ReadonlySet<number>,
): readonly StudyTrial[] {
  const places = new Map<string, StudyTrial>();
  for (const [index, entry] of entries.entries()) {
    if (entry.pilotRate !== undefined || entry.file === undefined) continue;
    const key = `${entry.candidate} ${entry.task} ${entry.seed}`;
    const before = places.get(key);
    if (before !== undefined && index >= paid) continue;
    const partial = entry.until < space.tasks[entry.task]!.budget.steps;
    places.set(key, {
      ...placeOf(entry),
      ...(partial ? { until: entry.until } : {}),
      ...(partial && pruned.has(entry.candidate) ? { pruned: true as const } : {}),
    });
  }
  return [...places.values()];
}

function placeOf({ file, candidate, task, seed }: StudyEntry): StudyTrial {
  return { id: file!.id, candidate, task, seed };
}

/** Trials that stand in several places count once. */
function costOf(
  space: StudySpace,
  candidates: readonly SpaceCandidate[],
  entries: readonly StudyEntry[],
): StudyState["cost"] {
  const until = new Map<string, { readonly entry: StudyEntry; readonly tokens: number }>();
  for (const entry of entries) {
    const { budget } = space.tasks[entry.task]!;
    const tokens = entry.until * budget.batch * budget.sequence;
    const key = entry.file?.id ?? `${entry.candidate} ${entry.task} ${entry.seed}`;
    if (tokens > (until.get(key)?.tokens ?? 0)) until.set(key, { entry, tokens });
  }
  const runs = [...until.values()];
  return {
    trials: runs.length,
    tokens: runs.reduce((sum, { tokens }) => sum + tokens, 0),
    flops: runs.reduce(
      (sum, { entry, tokens }) =>
        sum + tokens * candidates[entry.candidate]!.described.taskFlopsPerToken[entry.task]!,
      0,
    ),
  };
}

function total(entries: readonly StudyEntry[], unit: "tokens" | "flops"): number {
  return entries.reduce((sum, entry) => sum + entry[unit], 0);
}

function describeTask({ spec, task, budget }: ReadyTask): StudyTask {
  const { sequence, batch, steps, rungs } = budget;
  return {
    task: spec.task,
    weight: spec.weight,
    primary: task.primary,
    sequence,
    batchTokens: batch * sequence,
    tokens: steps * batch * sequence,
    rungs,
    description: task.describe(),
  };
}
