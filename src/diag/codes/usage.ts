// Codes 6xxx: the command line was not understood. Exit code 2.

import type { CodeTable } from "../code_table.js";

export const usageCodes: CodeTable = {
  LMX6001: {
    title: "Unknown command",
    explanation: "No command has this name. `layermix` alone lists the commands.",
    help: "Check the spelling; the message names the nearest command.",
  },
  LMX6002: {
    title: "Unknown flag",
    explanation: "The command does not take this flag. `layermix COMMAND --help` lists the flags it takes.",
    help: "Check the spelling; the message names the nearest flag.",
  },
  LMX6003: {
    title: "Missing argument",
    explanation: "The command needs an argument or a flag that was not given, for example a study file.",
    help: "`layermix COMMAND --help` shows what is needed and an example.",
  },
  LMX6004: {
    title: "Unexpected argument",
    explanation: `More arguments were given than the command takes. A value with spaces has to be quoted:

    layermix plan study.yaml --set "name=my study"`,
  },
  LMX6005: {
    title: "Invalid flag value",
    explanation:
      "The value of a flag or argument is not of the kind that it takes, or the flag has no value.",
    help: "`layermix COMMAND --help` shows what each flag takes.",
  },
  LMX6006: {
    title: "Flags that do not go together",
    explanation: "Two of the flags exclude each other, or one of them needs another one.",
  },
  LMX6007: {
    title: "Malformed --set",
    explanation: `--set takes PATH=VALUE, where PATH names a place in the study file with dots and VALUE is YAML:

    --set model.hidden=2048
    --set proxy.tasks.0.weight=2
    --set "model.mix={mamba2: 50%, mlp: 50%}"

The value null removes the key. A path that runs through a number or a text cannot be set.`,
    help: "Write --set path.to.key=value.",
  },
  LMX6008: {
    title: "Unknown preset",
    explanation:
      "No preset has this name. Presets are named without folder and extension: preset:mamba2-hybrid-8b.",
    help: "`layermix preset list` shows all presets.",
  },
  LMX6009: {
    title: "Unknown code",
    explanation: "`layermix explain` was given a code that does not exist. Codes look like LMX1203.",
    help: "`layermix explain` without a code lists all codes.",
  },
  LMX6010: {
    title: "File exists",
    explanation: "The command would overwrite a file, and refuses to without --force.",
    help: "Choose another name or add --force.",
  },
  LMX6011: {
    title: "File cannot be written",
    explanation: "The folder does not exist, may not be written to, or the disk is full. Exit code 6.",
    help: "Check the path and the free space.",
  },
  LMX6012: {
    title: "Port cannot be used",
    explanation:
      "`layermix watch` could not listen on the port: another program has it, or it needs more rights (below 1024).",
    help: "Choose another --port, or leave it out: a free one is taken.",
  },
};
