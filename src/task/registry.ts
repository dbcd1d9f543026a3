// Every task kind, in the order `task list` shows them. A new task is one new file and one line here.

import { compression } from "./compression.js";
import { contextRecall } from "./context_recall.js";
import { copy } from "./copy.js";
import { fuzzyRecall } from "./fuzzy_recall.js";
import { listops } from "./listops.js";
import { memorization } from "./memorization.js";
import { noisyRecall } from "./noisy_recall.js";
import { phonebook } from "./phonebook.js";
import { recall } from "./recall.js";
import type { TaskKind } from "./task.js";
import { text } from "./text.js";

export const taskKinds: readonly TaskKind[] = [
  text,
  recall,
  phonebook,
  copy,
  contextRecall,
  fuzzyRecall,
  noisyRecall,
  compression,
  memorization,
  listops,
];

/** The kind of that name, or undefined. */
export function taskByName(name: string): TaskKind | undefined {
  return taskKinds.find((kind) => kind.name === name);
}
