// Training speed of each candidate, from the clocks of its trials. It is shown beside a ranking and never stored in it:
// a ranking has the same bytes on every machine.

import { readTiming } from "../study/outcome.js";
import type { StudyDocument } from "../study/study_document.js";
import { studyLayout } from "../study/study_layout.js";

/** Training tokens per second by candidate, over all its timed trials; candidates without one are absent. */
export function candidateSpeeds(folder: string, document: StudyDocument): ReadonlyMap<string, number> {
  const totals = new Map<string, { tokens: number; seconds: number }>();
  for (const trial of document.trials) {
    const timing = readTiming(studyLayout.trial(folder, trial.id));
    if (timing === undefined || timing.trainSeconds === 0) continue;
    const name = document.candidates[trial.candidate]!.name;
    const total = totals.get(name) ?? { tokens: 0, seconds: 0 };
    total.tokens += timing.tokensPerSecond * timing.trainSeconds;
    total.seconds += timing.trainSeconds;
    totals.set(name, total);
  }
  return new Map([...totals].map(([name, { tokens, seconds }]) => [name, tokens / seconds]));
}
