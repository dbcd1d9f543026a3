// Crashes of a trial, counted in files so that the count outlives the process that saw them. Only deaths a trial can be
// blamed for are recorded (run/worker_death.ts decides); the third one makes the trial a failure, and the others go on.

import { rmSync } from "node:fs";
import { createFileExclusive, readTextIfPresent } from "./atomic_file.js";
import { jsonText, studyFormat } from "./json_file.js";
import { type FailureCause, publishFailure, type TrialCrash } from "./outcome.js";
import { onDisk } from "./storage_error.js";
import { trialLayout } from "./study_layout.js";

/** A trial that crashed this often is not tried again. */
export const crashLimit = 3;

/** Records one crash and, at the limit, the failure. Returns how often the trial has crashed by now. */
export function recordCrash(
  trialFolder: string,
  id: string,
  { cause, reason }: { readonly cause: FailureCause; readonly reason: string },
  stderr: readonly string[],
): number {
  const crash: TrialCrash = { format: studyFormat, reason, stderr };
  let count = 1;
  while (count < crashLimit && !createFileExclusive(trialLayout.crash(trialFolder, count), jsonText(crash))) {
    count++;
  }
  if (count < crashLimit) return count;
  createFileExclusive(trialLayout.crash(trialFolder, count), jsonText(crash));
  publishFailure(trialFolder, {
    format: studyFormat,
    id,
    code: "LMX4007",
    cause,
    message: `The worker died ${crashLimit} times while it ran this trial: ${reason}`,
    stderr,
  });
  return count;
}

/** How often the trial has crashed so far. */
export function crashCount(trialFolder: string): number {
  let count = 0;
  while (count < crashLimit && readTextIfPresent(trialLayout.crash(trialFolder, count + 1)) !== undefined)
    count++;
  return count;
}

/** Forgets the crashes and the failure of a trial, so that it is tried again. */
export function forgiveTrial(trialFolder: string): void {
  const paths = [trialLayout.failure(trialFolder)];
  for (let count = 1; count <= crashLimit; count++) paths.push(trialLayout.crash(trialFolder, count));
  for (const path of paths) onDisk("write", path, () => rmSync(path, { force: true }));
}
