// The next decision of a study: its strategy's, and when that has nothing left to decide, further seeds where the answer
// is still open.

import { looksOf } from "../rank/rank_study.js";
import { asha } from "./asha.js";
import type { Next, Strategy } from "./decision.js";
import { type EvolutionSpace, evolution } from "./evolution.js";
import { halving } from "./halving.js";
import { moreSeeds } from "./more_seeds.js";
import { patternLimits } from "./pattern_limits.js";
import { candidatesOf } from "./study_entries.js";
import type { StudySpace } from "./study_space.js";
import type { StudyState } from "./study_state.js";

/** Decides for one study, again and again. */
export type Decide = (state: StudyState, idle: number) => Next;

export function decider(space: StudySpace): Decide {
  const strategy = strategyOf(space);
  const { maxSeeds } = space.spec.proxy;
  return (state, idle) => {
    const view = state.view(idle);
    // Decisions on further seeds come last, and are no business of the strategy.
    const own = view.decisions.filter(({ run }) => run.every((assignment) => assignment.seeds === undefined));
    if (own.length === view.decisions.length) {
      const next = strategy({ ...view, decisions: own });
      if (next !== "done" || maxSeeds === undefined) return next;
    }
    if (maxSeeds === undefined) return "done";
    if (!state.settled()) return "wait";
    const { confidence } = space.spec.rank;
    const options = { max: maxSeeds, confidence, looks: looksOf(space.spec.proxy) };
    return moreSeeds(state.finalists(), options, space.rungShares.length - 1) ?? "done";
  };
}

/** Whether decisions wait for results, so that they are worth writing down. */
export function decidesLater({ strategy, spec }: StudySpace): boolean {
  return spec.proxy.maxSeeds !== undefined || ["halving", "asha", "evolution"].includes(strategy.kind);
}

function strategyOf(space: StudySpace): Strategy {
  const { strategy } = space;
  switch (strategy.kind) {
    case "grid":
    case "random":
    case "sobol":
      return everything;
    case "halving":
      return halving(strategy.rungs, strategy.keep);
    case "asha":
      return asha(strategy.rungs, strategy.keep);
    case "evolution": {
      const patterns = space.initial.map(({ described }) => described.pattern);
      const limits = patternLimits(patterns, strategy, space.spec.model.blocks);
      return (view) =>
        evolution({ ...strategy, limits, seed: space.options.seed }, evolutionSpace(space, view))(view);
    }
  }
}

/** Every candidate, to the end. */
const everything: Strategy = ({ decisions, initial }) => {
  if (decisions.length > 0) return "done";
  const run = Array.from({ length: initial }, (_, candidate) => ({ candidate, rung: 0 }));
  return {
    run,
    reason: initial === 1 ? "the candidate runs to the end" : `all ${initial} candidates run to the end`,
  };
};

function evolutionSpace(space: StudySpace, { decisions }: Parameters<Strategy>[0]): EvolutionSpace {
  const candidates = candidatesOf(space, decisions);
  return {
    initial: space.initial.map(({ described }) => described.pattern),
    costs: (candidate) => Object.values(candidates[candidate]!.described.costs),
    accepts: (pattern) => space.accepts({ pattern }),
  };
}
