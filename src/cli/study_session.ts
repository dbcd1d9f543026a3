// What sweep and train share: prepare the study, write its folder, run the pool under the signals with progress on
// stderr. What is done with the results is up to the command.

import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { endedOf } from "../report/format.js";
import { defaultTrialsAtOnce, physicalCores, shareCores } from "../run/cores.js";
import { runPool } from "../run/pool.js";
import { StudyDirector } from "../run/study_director.js";
import type { PreparedStudy } from "../search/prepare_study.js";
import { crashCount, forgiveTrial } from "../study/crash_record.js";
import { isFailure } from "../study/outcome.js";
import { identifyProcess } from "../study/process_identity.js";
import { onDisk } from "../study/storage_error.js";
import type { StudyDocument } from "../study/study_document.js";
import { studyLayout } from "../study/study_layout.js";
import { readTrialStatus, type TrialStatus } from "../study/trial_status.js";
import { type GpuUse, gpuUse, OwnSteps } from "./gpu_use.js";
import { SweepReporter } from "./progress/sweep_reporter.js";
import { withStopSignals } from "./signals.js";

export interface SessionOptions {
  readonly study: PreparedStudy;
  readonly folder: string;
  /** The study file's values, --set included, for study.yaml. */
  readonly source: unknown;
  /** The file as the user named it, and how to go on when a run is stopped. */
  readonly file: string;
  readonly resume: string;
  readonly device: string;
  readonly workers: number | undefined;
  readonly checkpointSeconds: number;
  readonly keepCheckpoints: boolean;
  readonly retryFailed: boolean;
  readonly interactive: boolean;
  /** Prints a message for people, or nothing. */
  readonly note: (text: string) => void;
}

/** Where a study goes without --out: beside the work, named after the study. */
export function defaultStudyFolder(name: string): string {
  return join("layermix-studies", name);
}

/** A study that has been run as far as it goes. */
export interface StudyEnd {
  /** As it stands now: a search may have made candidates and trials. */
  readonly document: StudyDocument;
  /** How each trial ended, or where it paused. */
  readonly statuses: ReadonlyMap<string, TrialStatus>;
  /** Set when the budget in hours is spent: hours of work so far. */
  readonly hours?: number;
  /** Set when something ran on a GPU. */
  readonly gpu?: GpuUse;
}

/**
 * Runs the study as far as it has not been run.
 * Throws LMX4014 (exit 130 or 143) when a signal stopped it, and what the pool throws.
 */
export async function runStudy(options: SessionOptions): Promise<StudyEnd> {
  const { study, folder } = options;
  if (options.retryFailed) forgiveFailures(folder);
  const statuses = new Map<string, TrialStatus>();
  const limit = mostTrialsAtOnce(study);
  const atOnce = options.workers ?? defaultTrialsAtOnce(options.device, largestStepFlops(study));
  const pooling = shareCores(options.device, physicalCores(), limit, atOnce);
  const reporter = new SweepReporter(study, options);
  const director = new StudyDirector({
    folder,
    space: study.space,
    source: sourceText(options),
    onGrowth: (document, trials) => reporter.grow(document, trials),
  });
  let halted = false;
  const began = performance.now();
  const steps = new OwnSteps(folder);
  await withStopSignals(
    () => reporter.say("Stopping: every worker finishes its step and saves. Once more leaves at once."),
    async (signals) => {
      try {
        director.next(0); // writes the folder before anything runs, so that what is wrong with it shows first
        const { complete } = await runPool({
          studyFolder: resolve(folder),
          director,
          device: options.device,
          threads: pooling.threadsPerTrial,
          workers: pooling.workers,
          trialsAtOnce: pooling.trialsPerWorker,
          checkpointSeconds: options.checkpointSeconds,
          keepCheckpoints: options.keepCheckpoints,
          stop: signals.stop,
          kill: signals.kill,
          onEvent: (event) => {
            if (event.kind === "settled") {
              statuses.set(event.job.id, event.status);
              director.settled(event.job);
            }
            if (event.kind === "claimed") steps.claimed(event.id);
            reporter.apply(event);
          },
        });
        halted = director.next(0).state === "halted";
        if (!complete && (!halted || signals.exitCode !== undefined)) {
          throw interrupted(director.document, statuses.size, options, signals.exitCode);
        }
      } finally {
        reporter.close();
      }
    },
  );
  const onDevice = steps.seconds;
  return {
    document: director.document,
    statuses,
    ...(halted ? { hours: director.hoursSpent() } : {}),
    ...(onDevice > 0
      ? { gpu: gpuUse((performance.now() - began) / 1_000, onDevice, pooling.trialsPerWorker) }
      : {}),
  };
}

/** Training FLOPs of the largest step among the trials known now. */
function largestStepFlops({ document, trials }: PreparedStudy): number {
  const definitions = new Map(trials.map(({ id, definition }) => [id, definition]));
  return document.trials.reduce((most, { id, candidate, task }) => {
    const step = definitions.get(id);
    const flopsPerToken = document.candidates[candidate]!.taskFlopsPerToken[task]!;
    return step === undefined ? most : Math.max(most, flopsPerToken * step.batch * step.sequence);
  }, 0);
}

/** Trials that may run at the same time: those known now, or all that a search may come to. */
function mostTrialsAtOnce({ space, trials }: PreparedStudy): number {
  const { proxy } = space.spec;
  const pilots = (proxy.optimizer.learningRateSweep?.rates.length ?? 1) * space.tasks.length;
  const bred = space.strategy.kind === "evolution" ? space.strategy.population : 0;
  return Math.max(
    trials.length,
    pilots * (proxy.maxSeeds ?? proxy.seeds) * Math.max(space.initial.length, bred),
  );
}

/** Lets the trials of a folder that failed be tried again. */
function forgiveFailures(folder: string): void {
  const trials = studyLayout.trials(folder);
  if (!existsSync(trials)) return;
  const here = identifyProcess();
  for (const id of onDisk("read", trials, () => readdirSync(trials))) {
    const trial = studyLayout.trial(folder, id);
    const { state, outcome } = readTrialStatus(folder, id, here);
    const failed = outcome !== undefined && isFailure(outcome);
    if (failed || (state !== "done" && crashCount(trial) > 0)) forgiveTrial(trial);
  }
}

function interrupted(
  { trials }: StudyDocument,
  settled: number,
  { folder, resume }: Pick<SessionOptions, "folder" | "resume">,
  exitCode: LayermixError["exitCode"] = exitCodes.interrupted,
): LayermixError {
  const diagnostic = {
    code: "LMX4014" as const,
    severity: "error" as const,
    message: `Interrupted: ${endedOf(settled, trials.length)}; the others are saved in ${folder}`,
    help: [resume],
  };
  return new LayermixError(diagnostic, exitCode);
}

/** study.yaml: the values that ran, and the folder and name they ran with, so that it can be run again as it is. */
function sourceText({ file, source, study }: Pick<SessionOptions, "file" | "source" | "study">): string {
  const { name, spec } = study.document;
  const { layermix, ...values } = source as Record<string, unknown>;
  const complete = {
    ...(layermix === undefined ? {} : { layermix }),
    ...values,
    name,
    relative_to: spec.folder,
  };
  return `# ${name}: the study as it ran, from ${file} with its --set values. Written by layermix.\n${stringify(complete)}`;
}
