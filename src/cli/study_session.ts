// What sweep and train share: prepare the study, write its folder, run the pool under the signals with progress on
// stderr. What is done with the results is up to the command.

import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { defaultWorkers, physicalCores, shareCores } from "../run/cores.js";
import { runPool } from "../run/pool.js";
import type { PreparedStudy } from "../search/prepare_study.js";
import { crashCount, forgiveTrial } from "../study/crash_record.js";
import { createStudyFolder } from "../study/create_study.js";
import { identifyProcess } from "../study/process_identity.js";
import { studyLayout } from "../study/study_layout.js";
import { readTrialStatus, type TrialStatus } from "../study/trial_status.js";
import { SweepReporter } from "./progress/sweep_reporter.js";
import { withStopSignals } from "./signals.js";

export interface SessionOptions {
  readonly study: PreparedStudy;
  readonly folder: string;
  /** The study file's values, --set included, for study.yaml. */
  readonly source: unknown;
  /** The file as the user named it, and how to run the same again. */
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

/**
 * Runs every trial of the study that has not ended. Returns how each ended.
 * Throws LMX4014 (exit 130 or 143) when a signal stopped it, and what the pool throws.
 */
export async function runStudy(options: SessionOptions): Promise<ReadonlyMap<string, TrialStatus>> {
  const { study, folder } = options;
  createStudyFolder(folder, study, sourceText(options));
  const ids = study.trials.map((trial) => trial.id);
  if (options.retryFailed) forgiveFailures(folder, ids);
  const statuses = new Map<string, TrialStatus>();
  const pooling = shareCores(physicalCores(), ids.length, options.workers ?? defaultWorkers(options.device));
  const reporter = new SweepReporter(study, options);
  await withStopSignals(
    () => reporter.say("Stopping: every worker finishes its step and saves. Once more leaves at once."),
    async (signals) => {
      try {
        const { complete } = await runPool({
          studyFolder: resolve(folder),
          trials: ids,
          device: options.device,
          threads: pooling.threadsPerWorker,
          workers: pooling.workers,
          checkpointSeconds: options.checkpointSeconds,
          keepCheckpoints: options.keepCheckpoints,
          stop: signals.stop,
          kill: signals.kill,
          onEvent: (event) => {
            if (event.kind === "settled") statuses.set(event.id, event.status);
            reporter.apply(event);
          },
        });
        if (!complete) throw interrupted(statuses.size, ids.length, options, signals.exitCode);
      } finally {
        reporter.close();
      }
    },
  );
  return statuses;
}

function forgiveFailures(folder: string, ids: readonly string[]): void {
  const here = identifyProcess();
  for (const id of ids) {
    const trial = studyLayout.trial(folder, id);
    const { state } = readTrialStatus(folder, id, here);
    if (state === "failed" || (state !== "done" && crashCount(trial) > 0)) forgiveTrial(trial);
  }
}

function interrupted(
  settled: number,
  total: number,
  { folder, resume }: Pick<SessionOptions, "folder" | "resume">,
  exitCode: LayermixError["exitCode"] = exitCodes.interrupted,
): LayermixError {
  const diagnostic = {
    code: "LMX4014" as const,
    severity: "error" as const,
    message: `Interrupted: ${settled} of ${total} trials have ended; the others are saved in ${folder}`,
    help: [`Run the same command again to go on: ${resume}`],
  };
  return new LayermixError(diagnostic, exitCode);
}

/** study.yaml: the values that ran, so that it can be run again as it is. */
function sourceText({ file, source, study }: Pick<SessionOptions, "file" | "source" | "study">): string {
  const header = [
    `# ${study.document.name}: the study as it ran, from ${file} with its --set values. Written by layermix.`,
    `# File names in it start from ${study.document.spec.folder}`,
  ];
  return `${header.join("\n")}\n${stringify(source)}`;
}
