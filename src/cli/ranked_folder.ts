// The ranking of a study folder, in every form a command shows it: data for scripts, text for people, and the two
// files in the folder. The files hold nothing from a clock, so their bytes depend on the study alone.

import { rankStudy, type TrialEnds } from "../rank/rank_study.js";
import type { Ranking } from "../rank/rank_types.js";
import { conclusions } from "../report/conclusion.js";
import { rankingCsv } from "../report/ranking_csv.js";
import { writeFileAtomic } from "../study/atomic_file.js";
import { jsonText, studyFormat } from "../study/json_file.js";
import { readOutcome, readTiming } from "../study/outcome.js";
import { readRung } from "../study/rung.js";
import type { StudyDocument } from "../study/study_document.js";
import { studyLayout } from "../study/study_layout.js";

/** The ends of a folder's trials, or where they paused. */
export function trialEnds(folder: string): TrialEnds {
  return (id, until) => {
    const trial = studyLayout.trial(folder, id);
    return readOutcome(trial) ?? (until === undefined ? undefined : readRung(trial, until));
  };
}

/** Ranks what has ended so far and writes ranking.json and ranking.csv. */
export function writeRanking(folder: string, document: StudyDocument): Ranking {
  const ranking = rankStudy(document, trialEnds(folder));
  writeFileAtomic(
    studyLayout.ranking(folder),
    jsonText({ format: studyFormat, name: document.name, ...ranking }),
  );
  writeFileAtomic(studyLayout.rankingTable(folder), rankingCsv(ranking));
  return ranking;
}

/** Mean training speed by candidate, tokens per second, over the trials that were timed. */
export function trainingSpeeds(folder: string, document: StudyDocument): ReadonlyMap<string, number> {
  const samples = new Map<string, number[]>();
  for (const { id, candidate } of document.trials) {
    const speed = readTiming(studyLayout.trial(folder, id))?.tokensPerSecond ?? 0;
    const name = document.candidates[candidate]!.name;
    if (speed > 0) samples.set(name, [...(samples.get(name) ?? []), speed]);
  }
  return new Map(
    [...samples].map(([name, speeds]) => [
      name,
      speeds.reduce((sum, speed) => sum + speed, 0) / speeds.length,
    ]),
  );
}

/** `data` of rank --json and sweep --json: the ranking with the measured speeds beside it. */
export function rankingData(ranking: Ranking, speeds: ReadonlyMap<string, number>): Record<string, unknown> {
  return {
    ...ranking,
    ranking: ranking.ranking.map((entry) => ({
      ...entry,
      tokensPerSecond: speeds.get(entry.candidate) ?? null,
    })),
    conclusions: conclusions(ranking),
  };
}
