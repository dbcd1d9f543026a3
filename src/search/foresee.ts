// What a study will come to, before anything has run: its strategy is asked for decision after decision, with made-up
// results. How many trials a halving runs and how far does not depend on which of them are good; where it does a little
// (an asynchronous strategy, children that evolution finds, seeds that are added while candidates are tied), the answer
// is an estimate.

import type { Metrics } from "../task/task.js";
import { decider } from "./decide.js";
import type { Decision } from "./decision.js";
import type { StudySpace } from "./study_space.js";
import { studyState } from "./study_state.js";

export interface Foresight {
  readonly candidates: number;
  /** Distinct trials, pilot runs included. */
  readonly trials: number;
  readonly tokens: number;
  /** Training FLOPs, without evaluation. */
  readonly flops: number;
  /** False where results can change it. */
  readonly exact: boolean;
}

export function foresee(space: StudySpace): Foresight {
  const decide = decider(space);
  const decisions: Decision[] = [];
  for (;;) {
    const state = studyState(space, decisions, madeUp, false);
    const next = state.exhausted ? "done" : decide(state, 1);
    if (typeof next !== "string") {
      decisions.push(next);
      continue;
    }
    const { strategy, spec } = space;
    const sized = strategy.kind === "grid" || strategy.kind === "random" || strategy.kind === "sobol";
    return {
      candidates: state.document.candidates.length,
      ...state.cost,
      exact: sized && spec.proxy.maxSeeds === undefined,
    };
  }
}

/** Figures that differ from trial to trial and mean nothing: a number in [0, 1) out of the trial's id. */
function madeUp(id: string): Metrics {
  const figure = Number.parseInt(id.slice(0, 8), 16) / 2 ** 32;
  return { loss: 1 + figure, accuracy: figure, bitsPerByte: 1 + figure };
}
