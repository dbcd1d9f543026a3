// A short text that changes whenever a study folder has something new to show: sizes and times of the files that reports
// are made from. Nothing is opened, so it is cheap to ask again and again.

import { statSync } from "node:fs";
import { distinctTrials, readStudy } from "./study_document.js";
import { studyLayout, trialLayout } from "./study_layout.js";

/** Throws LMX4004 when there is no study. */
export function studyVersion(folder: string): string {
  const trials = distinctTrials(readStudy(folder)).map((id) => {
    const trial = studyLayout.trial(folder, id);
    const files = [trialLayout.result, trialLayout.failure, trialLayout.metrics, trialLayout.timing];
    return files.map((file) => stamp(file(trial))).join(" ");
  });
  return [stamp(studyLayout.document(folder)), ...trials].join("\n");
}

function stamp(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? "-" : `${found.size}@${found.mtimeMs}`;
}
