// What people call a trial: candidate, task, seed. A trial that stands in several places of a study goes by the first.

import { taskLabels } from "../../rank/task_labels.js";
import { pilotSeedOffset } from "../../search/learning_rate.js";
import type { StudyDocument } from "../../study/study_document.js";

/** By trial id: ["attention=8%", "recall", "seed 1"]; for pilot runs [..., "pilot 1, lr 0.001"]. */
export function trialNames(
  document: Pick<StudyDocument, "spec" | "candidates" | "seeds" | "trials" | "pilots">,
): ReadonlyMap<string, readonly [string, string, string]> {
  const labels = taskLabels(document.spec.proxy?.tasks ?? []);
  const names = new Map<string, readonly [string, string, string]>();
  for (const { id, candidate, task, seed } of document.trials) {
    if (names.has(id)) continue;
    names.set(id, [document.candidates[candidate]?.name ?? "?", labels[task] ?? "?", `seed ${seed}`]);
  }
  for (const { id, candidate, task, seed, learningRate } of document.pilots ?? []) {
    const pilot = seed - pilotSeedOffset - (document.seeds[0] ?? 0) + 1;
    names.set(id, [
      document.candidates[candidate]?.name ?? "?",
      labels[task] ?? "?",
      `pilot ${pilot}, lr ${learningRate}`,
    ]);
  }
  return names;
}
