// Trials that did not end well, as the tail of a sentence.

import type { Ranking } from "../../rank/rank_types.js";

/** ", 2 diverged, 1 failed, 4 pruned", or nothing. */
export function exitWords({ trials }: Ranking): string {
  const parts = (["diverged", "failed", "pruned"] as const).filter((name) => trials[name] > 0);
  return parts.map((name) => `, ${trials[name]} ${name}`).join("");
}
