// The flags beside its file that a study ran with, for those who want to run it again or go on.

import type { StudyDocument } from "../study/study_document.js";

/** ["--seed", "3", "--device", "cpu"]; the first seed is 0 unless a flag said otherwise. */
export function runFlags({ seeds, device }: Pick<StudyDocument, "seeds" | "device">): readonly string[] {
  const first = seeds[0] ?? 0;
  return [...(first === 0 ? [] : ["--seed", String(first)]), "--device", device];
}
