// Flags that mean the same in every command. --json, --quiet and --no-color belong to all of them (base_command.ts);
// the others are taken by the commands they make sense for: `static flags = { set: sharedFlags.set, ... }`.

import { Flags } from "@oclif/core";
import { usageError } from "./failure.js";

export const baseFlags = {
  json: Flags.boolean({
    description: "Print one JSON object instead of text, also on failure.",
    helpGroup: "GLOBAL",
  }),
  quiet: Flags.boolean({
    description: "Print the result and errors only: no progress, no hints.",
    helpGroup: "GLOBAL",
  }),
  "no-color": Flags.boolean({
    description: "Print without colours; the same as NO_COLOR=1.",
    helpGroup: "GLOBAL",
  }),
};

export const sharedFlags = {
  set: Flags.string({
    description: "Override a value of the study file; repeatable. Example: --set model.hidden=2048",
    helpValue: "PATH=VALUE",
    multiple: true,
    multipleNonGreedy: true,
  }),
  seed: Flags.integer({
    description: "First random seed; trials count up from it. Example: --seed 7",
    helpValue: "NUMBER",
    min: 0,
  }),
  weightsSeed: Flags.integer({
    description: "Random seed of the weights. Example: --seed 7",
    helpValue: "NUMBER",
    min: 0,
  }),
  device: Flags.string({
    description: "Where to compute: auto, cpu or cuda:N. Example: --device cuda:0",
    helpValue: "DEVICE",
    default: "auto",
    parse: async (input) => {
      if (/^(auto|cpu|cuda(:\d{1,3})?)$/.test(input)) return input;
      throw usageError("LMX6005", `Expected --device to be auto, cpu or cuda:N, got ${input}`, [
        "for example --device cpu or --device cuda:0",
      ]);
    },
  }),
  workers: Flags.integer({
    description: "Trials that run at the same time. Example: --workers 4",
    helpValue: "COUNT",
    min: 1,
    max: 1024,
  }),
  out: Flags.string({
    description: "Folder to write to. Example: --out studies/attention",
    helpValue: "DIR",
  }),
  "dry-run": Flags.boolean({
    description: "Show what would be done, and do nothing. Example: --dry-run",
  }),
};
