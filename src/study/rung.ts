// trials/ID/rung-STEP.json: how good a trial was when it was paused, published whole after the checkpoint it goes on
// from. A pause lies on an evaluation of the trial's own schedule, so what it measured is a line of the metrics that an
// uninterrupted run writes as well: the file says nothing new, it says it durably and cheap to read.

import type { Metrics } from "../task/task.js";
import { readJson, studyFormat, writeJson } from "./json_file.js";
import { trialLayout } from "./study_layout.js";

export interface TrialRung {
  readonly format: typeof studyFormat;
  readonly id: string;
  readonly step: number;
  /** Trained on up to here. */
  readonly tokens: number;
  /** Held-out figures after that step. */
  readonly metrics: Metrics;
}

/** What the trial measured at a pause, or undefined when it has not paused there. Throws LMX4005, LMX4006. */
export function readRung(trialFolder: string, step: number): TrialRung | undefined {
  return readJson<TrialRung>(trialLayout.rung(trialFolder, step));
}

export function publishRung(trialFolder: string, rung: Omit<TrialRung, "format">): void {
  writeJson(trialLayout.rung(trialFolder, rung.step), { format: studyFormat, ...rung });
}
