// A study in Optuna's terms: one Optuna trial per candidate and seed, its value the ranked measure, its parameters the swept
// values, its intermediate values the measure along the run (the step is the percentage of the run).

import { measureDirection, measureOf } from "../rank/measure.js";
import type { RankTask } from "../rank/rank_types.js";
import { taskLabels } from "../rank/task_labels.js";
import type { StudyMeasurements, TrialMeasurements } from "../study/study_measurements.js";
import { trialState } from "./study_tables.js";

/** @param by a measure the study has: score, loss or a task's label. */
export function optunaStudy({ document, trials }: StudyMeasurements, by: string) {
  const labels = taskLabels(document.spec.proxy?.tasks ?? []);
  const tasks = document.tasks.map(
    ({ weight, primary }, i): RankTask => ({ label: labels[i]!, weight, primary }),
  );
  const runs = document.candidates.flatMap((candidate, index) =>
    document.seeds.flatMap((seed) => {
      const own = trials.filter((trial) => trial.candidate === index && trial.seed === seed);
      return own.length === 0 ? [] : [{ candidate, seed, own }];
    }),
  );
  return {
    name: document.name,
    direction: measureDirection(by, tasks) ?? "higher",
    attributes: { layermix: document.layermix, device: document.device, measure: by },
    trials: runs.map(({ candidate, seed, own }) => {
      const state = stateOf(own);
      const ownOf = (task: RankTask) => own.find((trial) => labels[trial.task] === task.label);
      const value = measureOf(by, tasks, (task) => {
        const outcome = ownOf(task)?.outcome;
        return outcome !== undefined && "metrics" in outcome ? outcome.metrics : undefined;
      });
      const seconds = own.reduce((sum, { timing }) => sum + (timing?.trainSeconds ?? 0), 0);
      const endedAt = Math.max(0, ...own.map((trial) => trial.endedAt ?? 0));
      return {
        state: state === "complete" && value === undefined ? ("fail" as const) : state,
        value: state === "complete" ? (value ?? null) : null,
        params: candidate.values,
        intermediate: alongTheRun(by, tasks, ownOf),
        attributes: {
          candidate: candidate.name,
          seed,
          pattern: candidate.pattern,
          params: candidate.params.total,
          flops_per_token: candidate.flopsPerToken,
          ...Object.fromEntries(own.flatMap((trial) => figures(trial, labels[trial.task]!))),
        },
        startedAt: endedAt - 1000 * seconds,
        endedAt,
      };
    }),
  };
}

function stateOf(own: readonly TrialMeasurements[]): "running" | "complete" | "pruned" | "fail" {
  const states = own.map(trialState);
  if (states.some((state) => state === "failed" || state === "diverged")) return "fail";
  if (states.includes("pruned")) return "pruned";
  return states.every((state) => state === "done") ? "complete" : "running";
}

function figures({ outcome }: TrialMeasurements, label: string): readonly (readonly [string, number])[] {
  if (outcome === undefined || !("metrics" in outcome) || outcome.metrics === undefined) return [];
  const { loss, accuracy, bitsPerByte } = outcome.metrics;
  return Object.entries({ loss, accuracy, bits_per_byte: bitsPerByte }).flatMap(([name, value]) =>
    value === undefined ? [] : [[`${label} ${name}`, value] as const],
  );
}

/** The measure at each evaluation of the task that is evaluated least often, by the percentage of the run. */
function alongTheRun(
  by: string,
  tasks: readonly RankTask[],
  ownOf: (task: RankTask) => TrialMeasurements | undefined,
): readonly (readonly [number, number])[] {
  const needed = by === "score" || by === "loss" ? tasks : tasks.filter(({ label }) => label === by);
  const count = Math.min(...needed.map((task) => ownOf(task)?.evaluations.length ?? 0));
  const leading = needed[0] === undefined ? undefined : ownOf(needed[0]);
  const end =
    leading?.outcome !== undefined && "steps" in leading.outcome ? leading.outcome.steps : undefined;
  if (leading === undefined || end === undefined) return [];
  return Array.from({ length: Number.isFinite(count) ? count : 0 }, (_, i) => i).flatMap((i) => {
    const value = measureOf(by, tasks, (task) => ownOf(task)?.evaluations[i]?.metrics);
    const percent = Math.round((100 * leading.evaluations[i]!.step) / end);
    return value === undefined || !Number.isFinite(value) ? [] : [[percent, value] as const];
  });
}
