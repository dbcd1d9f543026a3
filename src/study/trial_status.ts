// What state a trial is in, read from its files. There is no state file that could disagree with them.

import { type ClaimView, isOver, readClaim } from "./claim.js";
import { readOutcome, type TrialOutcome } from "./outcome.js";
import type { ProcessIdentity } from "./process_identity.js";
import { studyLayout, trialLayout } from "./study_layout.js";

export type TrialState = "done" | "diverged" | "failed" | "running" | "interrupted" | "waiting";

export interface TrialStatus {
  readonly id: string;
  /** "interrupted": begun, its owner gone; "waiting": never begun. */
  readonly state: TrialState;
  /** The latest claim, unless the trial has ended or was never claimed. */
  readonly claim?: ClaimView;
  readonly outcome?: TrialOutcome;
}

/** The state of one trial; `here` judges whether its owner lives. */
export function readTrialStatus(studyFolder: string, id: string, here: ProcessIdentity): TrialStatus {
  const trial = studyLayout.trial(studyFolder, id);
  const outcome = readOutcome(trial);
  if (outcome !== undefined) return { id, state: "status" in outcome ? outcome.status : "failed", outcome };
  const claim = readClaim(trialLayout.claims(trial));
  if (claim === undefined) return { id, state: "waiting" };
  return { id, state: isOver(claim, here) ? "interrupted" : "running", claim };
}
