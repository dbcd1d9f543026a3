// The ranking: candidates by their mean over seeds, with intervals, ties and what is missing. Pure: equal input, equal
// output. A rank is shared by the best candidate of a group and everyone whose difference from it is not significant; the
// first candidate that is significantly worse opens the next group (1, 1, 3). tiedWith says more: it lists every pair.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { similarName } from "../diag/suggest.js";
import { baselines } from "./baselines.js";
import { bootstrapMeanInterval } from "./bootstrap.js";
import { type CandidateRecord, collectRecords } from "./collect.js";
import { comparePairs, orderByMean, type SeedValues, significantPairs } from "./compare.js";
import { paretoFront } from "./front.js";
import { measureDirection } from "./measure.js";
import type {
  Comparison,
  PairedDifference,
  RankedCandidate,
  RankInput,
  Ranking,
  RankTask,
  TaskColumn,
} from "./rank_types.js";
import { formulaOf, primaryValue } from "./score.js";
import { mean, meanInterval } from "./statistics.js";

/**
 * Ranks what is there; an incomplete study gives an incomplete ranking that says so.
 * @throws LayermixError LMX7010 (exit 2) when `by` is neither score, loss nor a task of the study.
 */
export function rank(input: RankInput): Ranking {
  const { tasks, by, confidence, looks = 1 } = input;
  const level = 1 - (1 - confidence) / looks; // of a single look
  const direction = directionOf(by, tasks);
  const records = collectRecords(input);
  const rankable = records.filter((record) => record.state === "complete" || record.state === "partial");
  const measures = rankable.map(
    (record): SeedValues => ({ candidate: record.candidate.name, values: record.measure }),
  );
  const ordered = orderByMean(measures, direction);
  const comparisons = comparePairs(ordered, direction, level);
  const ranking = [
    ...rankGroups(ordered, comparisons, records, direction, input),
    ...prunedCandidates(records, ordered.length, direction, input),
    ...unranked(records, "waiting", null, input),
    ...unranked(records, "failed", records.filter((record) => record.state !== "failed").length + 1, input),
  ];
  const statuses = input.outcomes.map((outcome) => outcome.status);
  return {
    by,
    direction,
    confidence,
    looks,
    formula: formulaOf(by, tasks),
    seeds: input.seeds,
    tasks,
    ranking,
    comparisons,
    taskComparisons: Object.fromEntries(
      tasks.map((task) => [task.label, compareOnTask(task, rankable, level)]),
    ),
    pareto: paretoFront(by, direction, ranking),
    baselines: baselines(ranking),
    trials: {
      done: statuses.filter((status) => status === "done").length,
      diverged: statuses.filter((status) => status === "diverged").length,
      failed: statuses.filter((status) => status === "failed").length,
      pruned: input.outcomes.filter((outcome) => outcome.pruned === true).length,
      total: input.candidates.reduce((sum, { seeds = input.seeds }) => sum + tasks.length * seeds.length, 0),
    },
  };
}

function directionOf(by: string, tasks: readonly RankTask[]): "higher" | "lower" {
  const direction = measureDirection(by, tasks);
  if (direction !== undefined) return direction;
  const names = ["score", "loss", ...tasks.map((candidate) => candidate.label)];
  const near = similarName("measure", by, names);
  throw new LayermixError(
    {
      code: "LMX7010",
      severity: "error",
      message: `Expected a measure to rank by, got ${by}`,
      help: [...(near === undefined ? [] : [near]), `this study can be ranked by: ${names.join(", ")}`],
    },
    exitCodes.usage,
  );
}

function rankGroups(
  ordered: readonly SeedValues[],
  comparisons: readonly Comparison[],
  records: readonly CandidateRecord[],
  direction: "higher" | "lower",
  input: RankInput,
): readonly RankedCandidate[] {
  const differs = significantPairs(comparisons);
  let leader = "";
  let rankNumber = 0;
  return ordered.map(({ candidate, values }, position) => {
    if (position === 0 || differs(leader, candidate)) {
      leader = candidate;
      rankNumber = position + 1;
    }
    const others = ordered.map((entry) => entry.candidate).filter((other) => other !== candidate);
    const record = records.find((entry) => entry.candidate.name === candidate)!;
    const list = [...values.values()];
    return {
      ...describe(record, input),
      rank: rankNumber,
      score: mean(list),
      interval: meanInterval(list, input.confidence),
      bootstrap: bootstrapMeanInterval(list, input.confidence),
      behindBest: position === 0 ? null : pairedDifference(ordered[0]!.values, values, direction, input),
      tiedWith: others.filter((other) => !differs(candidate, other)),
    };
  });
}

/** How much better `best` is, over the seeds that both have; null where they share none. */
function pairedDifference(
  best: ReadonlyMap<number, number>,
  other: ReadonlyMap<number, number>,
  direction: "higher" | "lower",
  { confidence }: RankInput,
): PairedDifference | null {
  const sign = direction === "higher" ? 1 : -1;
  const gains = [...best].flatMap(([seed, value]) =>
    other.has(seed) ? [sign * (value - other.get(seed)!)] : [],
  );
  if (gains.length === 0) return null;
  return { mean: mean(gains), interval: meanInterval(gains, confidence), seeds: gains.length };
}

/** Those a search left behind: who came farther first, then by the measure there. */
function prunedCandidates(
  records: readonly CandidateRecord[],
  ranked: number,
  direction: "higher" | "lower",
  input: RankInput,
): readonly RankedCandidate[] {
  const sign = direction === "higher" ? 1 : -1;
  const worth = ({ value }: NonNullable<CandidateRecord["prunedAt"]>): number =>
    value === null ? Number.NEGATIVE_INFINITY : sign * value;
  return records
    .flatMap((record) => (record.state === "pruned" && record.prunedAt !== undefined ? [record] : []))
    .map((record) => ({ record, at: record.prunedAt! }))
    .sort((a, b) => b.at.share - a.at.share || (worth(b.at) > worth(a.at) ? 1 : -1))
    .map(({ record, at }, i) => ({
      ...describe(record, input),
      rank: ranked + i + 1,
      prunedAt: at,
      ...nothingMeasured,
    }));
}

function unranked(
  records: readonly CandidateRecord[],
  state: "waiting" | "failed",
  rankNumber: number | null,
  input: RankInput,
): readonly RankedCandidate[] {
  return records
    .filter((record) => record.state === state)
    .map((record) => ({
      ...describe(record, input),
      rank: rankNumber,
      ...nothingMeasured,
    }));
}

const nothingMeasured = {
  score: null,
  interval: null,
  bootstrap: null,
  behindBest: null,
  tiedWith: [],
} as const;

type Described = Omit<RankedCandidate, "rank" | keyof typeof nothingMeasured>;

function describe(record: CandidateRecord, input: RankInput): Described {
  const { name, pattern, params, flopsPerToken, proxy, costs, learningRates } = record.candidate;
  return {
    candidate: name,
    pattern,
    params,
    flopsPerToken,
    proxy,
    ...(costs === undefined ? {} : { costs }),
    ...(learningRates === undefined ? {} : { learningRates }),
    state: record.state,
    tasks: Object.fromEntries(
      input.tasks.map((task) => [task.label, taskColumn(task, record, input.confidence)]),
    ),
    problems: record.problems,
  };
}

function taskColumn(task: RankTask, record: CandidateRecord, confidence: number): TaskColumn {
  const bySeed = [...record.metrics.get(task.label)!];
  const values = bySeed.map(([seed, metrics]) => [seed, primaryValue(task, metrics)!] as const);
  const list = values.map(([, value]) => value);
  const entries = bySeed.flatMap(([, metrics]) =>
    metrics.byEntries === undefined ? [] : [metrics.byEntries],
  );
  const byEntries =
    entries.length === 0
      ? {}
      : {
          byEntries: Object.fromEntries(
            Object.keys(entries[0]!).map((count) => [count, mean(entries.map((entry) => entry[count]!))]),
          ),
        };
  return {
    metric: task.primary.name,
    mean: list.length === 0 ? null : mean(list),
    interval: meanInterval(list, confidence),
    seeds: Object.fromEntries(values),
    ...byEntries,
  };
}

function compareOnTask(
  task: RankTask,
  records: readonly CandidateRecord[],
  confidence: number,
): readonly Comparison[] {
  const measures = records.map(
    (record): SeedValues => ({
      candidate: record.candidate.name,
      values: new Map(
        [...record.metrics.get(task.label)!].map(([seed, metrics]) => [seed, primaryValue(task, metrics)!]),
      ),
    }),
  );
  const { direction } = task.primary;
  return comparePairs(orderByMean(measures, direction), direction, confidence);
}
