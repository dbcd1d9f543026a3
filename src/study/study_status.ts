// A study folder at a glance: every trial's state, who runs what, how far it is and when it may end. Read from the
// files alone, so it is the same from any process on any machine that sees the folder.

import { readJson } from "./json_file.js";
import { readMetrics } from "./metrics_log.js";
import { isFailure, readTiming, type TrialFailure } from "./outcome.js";
import type { ProcessIdentity } from "./process_identity.js";
import { distinctTrials, readStudy, type StudyDocument } from "./study_document.js";
import { studyLayout, trialLayout } from "./study_layout.js";
import { type TrialFile, trialTokens } from "./trial.js";
import { readTrialStatus, type TrialState, type TrialStatus, trialStates } from "./trial_status.js";

/** A trial that somebody works on now. */
export interface RunningTrial {
  readonly id: string;
  readonly step: number;
  readonly steps: number;
  /** Of the last logged step. */
  readonly loss: number | null;
  readonly owner: { readonly host: string; readonly pid: number } | null;
  /** Seconds since the owner's last heartbeat, by this machine's clock. */
  readonly heartbeatSeconds: number;
  /** Tokens per second over the whole trial; null before its first checkpoint. */
  readonly tokensPerSecond: number | null;
}

export interface StudyStatus {
  readonly document: StudyDocument;
  /** Distinct trials by state; every state is there. */
  readonly counts: Readonly<Record<TrialState, number>>;
  readonly total: number;
  readonly running: readonly RunningTrial[];
  readonly failures: readonly TrialFailure[];
  /** Tokens trained so far, of all that the study asks for now. */
  readonly tokensDone: number;
  readonly tokensTotal: number;
  /** At the speed of what runs now; null when nothing runs or no speed is known yet. */
  readonly etaSeconds: number | null;
}

/**
 * Reads the status of a study folder. Throws LMX4004 when there is no study.
 * @param here the process that judges whether owners live; `now` its clock, in milliseconds since 1970.
 */
export function readStudyStatus(folder: string, here: ProcessIdentity, now: number): StudyStatus {
  const document = readStudy(folder);
  const ids = distinctTrials(document);
  const counts = Object.fromEntries(trialStates.map((state) => [state, 0])) as Record<TrialState, number>;
  const places = new Map(document.trials.map((trial) => [trial.id, trial]));
  const running: RunningTrial[] = [];
  const failures: TrialFailure[] = [];
  const speeds: number[] = [];
  let tokensDone = 0;
  let tokensTotal = 0;
  for (const id of ids) {
    const trialFolder = studyLayout.trial(folder, id);
    const place = places.get(id);
    const status = readTrialStatus(folder, id, here, place?.until);
    counts[status.state === "paused" && place?.pruned ? "pruned" : status.state]++;
    const definition = readJson<TrialFile>(trialLayout.definition(trialFolder))?.definition;
    const until = place?.until ?? definition?.steps ?? 0;
    const tokens = definition === undefined ? 0 : (trialTokens(definition) / definition.steps) * until;
    const speed = readTiming(trialFolder)?.tokensPerSecond ?? 0;
    if (speed > 0) speeds.push(speed);
    tokensTotal += tokens;
    if (status.outcome !== undefined || status.rung !== undefined) tokensDone += tokens;
    if (status.outcome !== undefined && isFailure(status.outcome)) failures.push(status.outcome);
    if (definition === undefined || (status.state !== "running" && status.state !== "interrupted")) continue;
    const last = readMetrics(trialLayout.metrics(trialFolder)).at(-1);
    const step = last?.step ?? 0;
    tokensDone += (tokens / until) * step;
    if (status.state !== "running") continue;
    const loss = last !== undefined && "loss" in last ? last.loss : null;
    running.push({
      ...describeOwner(status, now),
      id,
      step,
      steps: until,
      loss,
      tokensPerSecond: speed || null,
    });
  }
  const pace = median(speeds) * running.length;
  const etaSeconds = pace > 0 ? (tokensTotal - tokensDone) / pace : null;
  return { document, counts, total: ids.length, running, failures, tokensDone, tokensTotal, etaSeconds };
}

function describeOwner(
  { claim }: TrialStatus,
  now: number,
): Pick<RunningTrial, "owner" | "heartbeatSeconds"> {
  const owner = claim?.record?.owner;
  return {
    owner: owner === undefined ? null : { host: owner.host, pid: owner.pid },
    heartbeatSeconds: claim === undefined ? 0 : Math.max(0, (now - claim.heartbeatAt) / 1_000),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
