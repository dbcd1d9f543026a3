// Everything a study folder has measured, read once: `fidelity`, `report`, `watch` and `export` are functions of this.
// Works on a study that is still running; a trial that has not ended shows what it has measured so far.

import { statSync } from "node:fs";
import { damaged } from "./json_file.js";
import { isEvaluation, type MetricsLine, readMetrics, readMetricsAt, type TrainLine } from "./metrics_log.js";
import {
  isFailure,
  readOutcome,
  readTiming,
  type TrialEvaluation,
  type TrialOutcome,
  type TrialTiming,
} from "./outcome.js";
import { readRung, type TrialRung } from "./rung.js";
import { readStudy, type StudyDocument, type StudyTrial } from "./study_document.js";
import { studyLayout, trialLayout } from "./study_layout.js";

/** One trial by its place in the study. */
export interface TrialMeasurements extends StudyTrial {
  /** How it ended; absent while it has not. */
  readonly outcome?: TrialOutcome;
  /** Where it paused, when it has and has not ended. */
  readonly rung?: TrialRung;
  /** Held-out figures, by step. */
  readonly evaluations: readonly TrialEvaluation[];
  /** Training loss by logged step. */
  readonly training: readonly TrainLine[];
  readonly timing?: TrialTiming;
  /** When its result was published, milliseconds since 1970; by the clock of the file system. */
  readonly endedAt?: number;
}

export interface StudyMeasurements {
  readonly folder: string;
  readonly document: StudyDocument;
  /** In the order of document.trials. */
  readonly trials: readonly TrialMeasurements[];
}

/** Reads a study folder. Throws LMX4004 when there is no study, LMX4005, LMX4006. */
export function readMeasurements(folder: string): StudyMeasurements {
  const document = readStudy(folder);
  // Two places of a study can hold one trial: read it once.
  const known = new Map<string, ReturnType<typeof readTrial>>();
  const trials = document.trials.map((place): TrialMeasurements => {
    const key = `${place.id} ${place.until ?? ""}`;
    const read = known.get(key) ?? readTrial(folder, place);
    known.set(key, read);
    return { ...place, ...read };
  });
  return { folder, document, trials };
}

function readTrial(folder: string, { id, until }: StudyTrial): Omit<TrialMeasurements, keyof StudyTrial> {
  const trial = studyLayout.trial(folder, id);
  const outcome = readOutcome(trial);
  const rung = outcome === undefined && until !== undefined ? readRung(trial, until) : undefined;
  const timing = readTiming(trial);
  const published = statSync(trialLayout.result(trial), { throwIfNoEntry: false })?.mtimeMs;
  const lines = readLines(trialLayout.metrics(trial), outcome);
  const finished = outcome !== undefined && !isFailure(outcome) ? outcome.evaluations : undefined;
  return {
    ...(outcome === undefined ? {} : { outcome }),
    ...(rung === undefined ? {} : { rung }),
    ...(timing === undefined ? {} : { timing }),
    ...(published === undefined ? {} : { endedAt: published }),
    evaluations:
      finished ??
      lines
        .filter(isEvaluation)
        .map(({ step, eval: metrics }) => ({ step, metrics }) as unknown as TrialEvaluation),
    training: lines.filter((line): line is TrainLine => !isEvaluation(line)),
  };
}

/** The lines of a trial; those of a finished one must be the very bytes that its result names. */
function readLines(path: string, outcome: TrialOutcome | undefined): readonly MetricsLine[] {
  if (outcome === undefined || isFailure(outcome) || outcome.log === undefined) return readMetrics(path);
  const lines = readMetricsAt(path, outcome.log);
  if (lines === undefined)
    throw damaged(
      path,
      "contents that do not have the checksum in result.json",
      "remove it with result.json",
    );
  return lines;
}
