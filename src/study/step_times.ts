// How long a training step takes, as measured once and kept with the study: step-times/KEY.json, KEY being the hash of
// what was timed. Candidates that are matched by it depend on these numbers, so the first measurement stands: a resumed
// study, and another process on the same folder, plan the very candidates of the first.

import { mkdirSync } from "node:fs";
import { createFileExclusive } from "./atomic_file.js";
import { canonicalHash } from "./canonical_json.js";
import { jsonText, readJson, studyFormat } from "./json_file.js";
import { onDisk } from "./storage_error.js";
import { studyLayout } from "./study_layout.js";
import type { TrialDefinition } from "./trial.js";

/** step-times/KEY.json */
export interface StepTime {
  readonly format: typeof studyFormat;
  /** Of one optimizer step, median of several. */
  readonly seconds: number;
  readonly device: string;
}

/** What decides how long a step takes: the shape of the work, not its data or its learning rate. */
function keyOf({ model, sequence, batch, microBatch, precision }: TrialDefinition, device: string): string {
  return canonicalHash({ model, sequence, batch, microBatch, precision, device }).slice(0, 16);
}

/**
 * Seconds per step of a trial: what the folder says, or a measurement that is then written there.
 * @param folder of the study; undefined to measure without keeping anything.
 */
export function rememberedStepSeconds(
  folder: string | undefined,
  device: string,
  measure: (definition: TrialDefinition) => number,
): (definition: TrialDefinition) => number {
  const known = new Map<string, number>();
  return (definition) => {
    const key = keyOf(definition, device);
    const seconds = known.get(key) ?? recorded(key) ?? record(key, measure(definition));
    known.set(key, seconds);
    return seconds;
  };

  function recorded(key: string): number | undefined {
    return folder === undefined ? undefined : readJson<StepTime>(studyLayout.stepTime(folder, key))?.seconds;
  }

  /** Of several processes that have measured, the first is right. */
  function record(key: string, seconds: number): number {
    if (folder === undefined) return seconds;
    const path = studyLayout.stepTime(folder, key);
    onDisk("write", path, () => mkdirSync(studyLayout.stepTimes(folder), { recursive: true }));
    const time: StepTime = { format: studyFormat, seconds, device };
    createFileExclusive(path, jsonText(time));
    return recorded(key) ?? seconds;
  }
}
