// What people call a trial: candidate, task, seed. A trial that stands in several places of a study goes by the first.

import { taskLabels } from "../../rank/task_labels.js";
import type { StudyDocument } from "../../study/study_document.js";

/** By trial id: ["attention=8%", "recall", "seed 1"]. */
export function trialNames(
  document: Pick<StudyDocument, "spec" | "candidates" | "trials">,
): ReadonlyMap<string, readonly [string, string, string]> {
  const labels = taskLabels(document.spec.proxy?.tasks ?? []);
  const names = new Map<string, readonly [string, string, string]>();
  for (const { id, candidate, task, seed } of document.trials) {
    if (names.has(id)) continue;
    names.set(id, [document.candidates[candidate]?.name ?? "?", labels[task] ?? "?", `seed ${seed}`]);
  }
  return names;
}
