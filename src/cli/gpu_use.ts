// How busy a sweep kept the GPU: seconds its steps took by the device's own clock, over the seconds the sweep ran. What it leaves
// out - evaluation, checkpoints, starting workers - shows as not busy.

import { existsSync, readdirSync } from "node:fs";
import { readTiming } from "../study/outcome.js";
import { onDisk } from "../study/storage_error.js";
import { studyLayout } from "../study/study_layout.js";

export interface GpuUse {
  /** Seconds from the first worker to the last. */
  readonly seconds: number;
  /** Seconds of training steps on the device, added up over the trials. */
  readonly stepSeconds: number;
  /** Trials at a time. */
  readonly trialsAtOnce: number;
  /** stepSeconds over the seconds of all that ran at once. */
  readonly busyShare: number;
}

/** Device seconds of all trials in a study folder so far. */
export function deviceSeconds(folder: string): number {
  const trials = studyLayout.trials(folder);
  if (!existsSync(trials)) return 0;
  const names = onDisk("read", trials, () => readdirSync(trials));
  return names.reduce((sum, id) => sum + (readTiming(studyLayout.trial(folder, id))?.deviceSeconds ?? 0), 0);
}

export function gpuUse(seconds: number, stepSeconds: number, trialsAtOnce: number): GpuUse {
  return { seconds, stepSeconds, trialsAtOnce, busyShare: stepSeconds / (seconds * trialsAtOnce) };
}

/** One line for people: "GPU: training steps took 338 of 362 s (93%)". */
export function renderGpuUse({ seconds, stepSeconds, trialsAtOnce, busyShare }: GpuUse): string {
  const together = trialsAtOnce > 1 ? `, ${trialsAtOnce} trials at a time` : "";
  const whole = (seconds * trialsAtOnce).toFixed(0);
  return `GPU: training steps took ${stepSeconds.toFixed(0)} of ${whole} s (${(100 * busyShare).toFixed(0)}%)${together}`;
}
