// LMX7xxx: tasks, corpora and rankings.

import type { CodeTable } from "../code_table.js";

export const taskCodes = {
  LMX7001: {
    title: "Unknown task",
    explanation:
      "A proxy run trains and measures on a task that layermix knows by name. `layermix task list` shows them all; " +
      "`layermix task show NAME` shows what one measures, its options and an example.",
  },
  LMX7002: {
    title: "Wrong task option",
    explanation:
      "Every task has its own options, written beside its name under proxy.tasks. This one is not an option of the " +
      "task, or its value is outside what the task can use. `layermix task show NAME` lists them with their defaults.",
  },
  LMX7003: {
    title: "Task options that do not fit together",
    explanation:
      "Each option is fine by itself, but a row of the task would not fit into the sequence or the vocabulary. " +
      "The message says how large it would have to be; a task may override `sequence` for itself.",
  },
  LMX7004: {
    title: "Corpus not readable",
    explanation:
      "The text task could not read its files: a name or glob matches nothing, a file cannot be opened, or a name " +
      "is a folder. Relative names start from the folder of the study file.",
  },
  LMX7005: {
    title: "Corpus too small",
    explanation:
      "The files are too short for the sequence length: no training window, or no held-out window, fits. " +
      "Add text or shorten the sequence.",
  },
  LMX7010: {
    title: "Unknown measure to rank by",
    explanation:
      "A ranking orders candidates by `score` (all tasks, weighted), by `loss` (held-out loss of all tasks, weighted) or " +
      "by one task of the study, named as in the column of the table. `rank.by` in the study file and `--by` take the same names.",
  },
} as const satisfies CodeTable;
