// What state a trial is in, read from its files. There is no state file that could disagree with them.

import { type ClaimView, isOver, readClaim } from "./claim.js";
import { isFailure, readOutcome, type TrialOutcome } from "./outcome.js";
import type { ProcessIdentity } from "./process_identity.js";
import { readRung, type TrialRung } from "./rung.js";
import { studyLayout, trialLayout } from "./study_layout.js";

/**
 * Ended: "done", "diverged" (a loss or gradient norm was not a finite number), "oom" (for want of memory), "killed" (from outside, again
 * and again), "failed" (anything else). Not ended: "running"; "interrupted": begun, its owner gone; "paused": at the step
 * it was to reach for now; "pruned": paused, and the search has decided against it; "waiting": never begun.
 */
export type TrialState = (typeof trialStates)[number];

export const trialStates = [
  "done",
  "diverged",
  "failed",
  "oom",
  "killed",
  "pruned",
  "paused",
  "running",
  "interrupted",
  "waiting",
] as const;

export interface TrialStatus {
  readonly id: string;
  readonly state: TrialState;
  /** The latest claim, unless the trial has ended or was never claimed. */
  readonly claim?: ClaimView;
  readonly outcome?: TrialOutcome;
  /** What it measured at the step it was to reach, when it is paused there. */
  readonly rung?: TrialRung;
}

/**
 * The state of one trial; `here` judges whether its owner lives.
 * @param until the step it is to reach for now; its end when absent.
 */
export function readTrialStatus(
  studyFolder: string,
  id: string,
  here: ProcessIdentity,
  until?: number,
): TrialStatus {
  const trial = studyLayout.trial(studyFolder, id);
  const outcome = readOutcome(trial);
  if (outcome !== undefined) return { id, state: stateOf(outcome), outcome };
  const rung = until === undefined ? undefined : readRung(trial, until);
  if (rung !== undefined) return { id, state: "paused", rung };
  const claim = readClaim(trialLayout.claims(trial));
  if (claim === undefined) return { id, state: "waiting" };
  return { id, state: isOver(claim, here) ? "interrupted" : "running", claim };
}

/** The state of a trial that has ended. */
export function stateOf(outcome: TrialOutcome): TrialState {
  if (!isFailure(outcome)) return outcome.status;
  return outcome.cause === "oom" || outcome.cause === "killed" ? outcome.cause : "failed";
}
