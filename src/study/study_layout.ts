// Names of everything in a study folder (docs/study-folder.md says who writes what).

import { join } from "node:path";

export const studyLayout = {
  /** The study as it ran, which `layermix sweep` takes from anywhere. */
  source: (folder: string) => join(folder, "study.yaml"),
  document: (folder: string) => join(folder, "study.json"),
  ranking: (folder: string) => join(folder, "ranking.json"),
  rankingTable: (folder: string) => join(folder, "ranking.csv"),
  trials: (folder: string) => join(folder, "trials"),
  trial: (folder: string, id: string) => join(folder, "trials", id),
  logs: (folder: string) => join(folder, "logs"),
  stepTimes: (folder: string) => join(folder, "step-times"),
  stepTime: (folder: string, key: string) => join(folder, "step-times", `${key}.json`),
  search: (folder: string, key: string) => join(folder, `search-${key}`),
} as const;

/** Steps in names are padded, so that a listing is in their order. */
const rungDigits = 8;

/** Names in the folder of one trial. */
export const trialLayout = {
  definition: (trial: string) => join(trial, "trial.json"),
  microBatch: (trial: string) => join(trial, "micro-batch.json"),
  claims: (trial: string) => join(trial, "claims"),
  metrics: (trial: string) => join(trial, "metrics.jsonl"),
  checkpoint: (trial: string) => join(trial, "checkpoint.safetensors"),
  previousCheckpoint: (trial: string) => join(trial, "checkpoint.previous.safetensors"),
  timing: (trial: string) => join(trial, "timing.json"),
  result: (trial: string) => join(trial, "result.json"),
  rung: (trial: string, step: number) => join(trial, `rung-${String(step).padStart(rungDigits, "0")}.json`),
  crash: (trial: string, count: number) => join(trial, `crash-${count}.json`),
  failure: (trial: string) => join(trial, "failure.json"),
} as const;
