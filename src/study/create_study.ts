// Writes a prepared study into its folder - the only files a sweep needs besides what the trials write themselves. All
// of it can be written again at any time by anybody who prepares the same study from the same file: the bytes are the same.

import { mkdirSync } from "node:fs";
import { readTextIfPresent, writeFileAtomic } from "./atomic_file.js";
import { jsonText } from "./json_file.js";
import { onDisk } from "./storage_error.js";
import type { StudyDocument } from "./study_document.js";
import { studyLayout, trialLayout } from "./study_layout.js";
import type { TrialFile } from "./trial.js";

/**
 * Creates or renews a study folder. Trials that are there already keep everything they have.
 * @param source the text of study.yaml.
 */
export function createStudyFolder(
  folder: string,
  study: { readonly document: StudyDocument; readonly trials: readonly TrialFile[] },
  source: string,
): void {
  onDisk("write", folder, () => mkdirSync(studyLayout.trials(folder), { recursive: true }));
  for (const file of study.trials) {
    const trial = studyLayout.trial(folder, file.id);
    onDisk("write", trial, () => mkdirSync(trial, { recursive: true }));
    writeIfChanged(trialLayout.definition(trial), jsonText(file));
  }
  writeIfChanged(studyLayout.source(folder), source);
  writeIfChanged(studyLayout.document(folder), jsonText(study.document));
}

function writeIfChanged(path: string, text: string): void {
  if (readTextIfPresent(path) !== text) writeFileAtomic(path, text);
}
