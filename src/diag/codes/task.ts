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
  LMX7020: {
    title: "Damaged Megatron index",
    explanation:
      "A .idx file begins with MMIDIDX and says how many sequences there are, how long each is and where it lies in the " +
      ".bin. This one contradicts itself or its own size; the message says at which byte. layermix reads versions 1 of " +
      "integer types.",
  },
  LMX7021: {
    title: "Damaged token file",
    explanation:
      "The header of a token file and its size do not belong together, or a .bin ends before the sequences that its .idx " +
      "lists: the file is cut off, or the two are not of one dataset. llm.c writes magic 20240520 (version 1, u16) or " +
      "20240801 (version 7, u32); nanoGPT writes u16 tokens without a header.",
  },
  LMX7022: {
    title: "Text or token that cannot be used",
    explanation:
      "A text file is not UTF-8 although a tokenizer needs it to be, or a token is outside the vocabulary it was said to " +
      "have: the files were encoded with another tokenizer, or are damaged.",
  },
  LMX7023: {
    title: "Line that is no document",
    explanation:
      "Each line of a JSONL corpus is a JSON object with the text in one field (`text`, unless the task says `field: " +
      "NAME`). The message says which line is not. Empty lines are skipped.",
  },
  LMX7024: {
    title: "Tokenizer that cannot be used",
    explanation:
      "`tokenizer` is `bytes`, or the name of a Hugging Face tokenizer.json (of a fast tokenizer; layermix reads it with " +
      "@huggingface/tokenizers). The file is damaged or of another kind, or `document_end` names a token it does not have.",
  },
  LMX7025: {
    title: "Cache cannot be written",
    explanation:
      "Text is encoded once and its tokens are kept in a cache: LAYERMIX_CACHE, else layermix/ in XDG_CACHE_HOME or " +
      "~/.cache. The folder cannot be written, or the disk is full. Everything in it can be removed at any time.",
  },
  LMX7026: {
    title: "Parquet file that cannot be read",
    explanation:
      "The file is damaged, has no column of texts of the name that `field` gives, or is compressed in a way that layermix " +
      "does not read: plain, snappy, gzip and brotli pages always, zstd with Node.js 22.15 or newer.",
  },
  LMX7027: {
    title: "Unclear or mixed corpus",
    explanation:
      "A .bin without .idx and without llm.c's header could be anything: nanoGPT's files have to be named with `format: " +
      "nanogpt`. Files of text and files of tokens cannot be one corpus, and order: megatron needs one Megatron dataset.",
  },
  LMX7028: {
    title: "Vocabulary unknown",
    explanation:
      "Token files do not say how large their vocabulary is. Up to 2^30 tokens layermix looks for the largest; beyond that " +
      "the task has to say `vocab` or `tokenizer`.",
  },
  LMX7029: {
    title: "Compressed file that cannot be read",
    explanation:
      "JSONL may be compressed: .gz, and .zst with Node.js 22.15 or newer. The data are cut off or damaged, or this Node.js " +
      "has no decompression for them.",
  },
  LMX7010: {
    title: "Unknown measure to rank by",
    explanation:
      "A ranking orders candidates by `score` (all tasks, weighted), by `loss` (held-out loss of all tasks, weighted) or " +
      "by one task of the study, named as in the column of the table. `rank.by` in the study file and `--by` take the same names.",
  },
  LMX7011: {
    title: "Too little to compare",
    explanation: `Fidelity says how well one order of candidates predicts another, and an order needs at least three
candidates whose trials are all done. Against another study, candidates are the same where their names are: the axis values
of the sweep.`,
    help: "Finish the study (layermix status DIR shows what is missing), or compare studies of the same sweep.",
  },
} as const satisfies CodeTable;
