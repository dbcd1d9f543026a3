// `import hf`: a config.json, or the folder that has one, to the text of a study. The text is read back as a study file
// and planned before it is handed out, so that whatever comes out can be planned; what cannot is the configuration's
// fault and says so.

import { closeSync, openSync, readSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type Diagnostic, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { systemReason } from "../diag/system_reason.js";
import { plan } from "../plan/plan.js";
import type { Plan } from "../plan/plan_types.js";
import { parseStudy } from "../spec/parse_study.js";
import { readModelConfig } from "./huggingface_config.js";
import { invalidFile, problem } from "./interop_error.js";
import { studyText } from "./study_text.js";

export interface ImportedStudy {
  readonly name: string;
  /** model_type of the configuration. */
  readonly type: string;
  /** The study file, without editor lines. */
  readonly text: string;
  readonly plan: Plan;
  /** What the configuration says and the study does not, a clause each. */
  readonly notCarried: readonly string[];
}

/** Largest config.json that is read; real ones have a few hundred KiB at most. */
const maxConfigBytes = 4 * 1024 * 1024;

/**
 * Imports a config.json, or DIR/config.json.
 * @throws LayermixError LMX5005 (cannot be read), LMX5101, LMX5102, LMX5105
 */
export function importHuggingFace(source: string, name?: string): ImportedStudy {
  const file = configFile(source);
  const model = readModelConfig(readConfig(file), file);
  const title = name ?? studyName(file);
  const text = studyText(model, {
    name: title,
    comments: [
      `Imported from ${basename(dirname(resolve(file)))}/${basename(file)} (model_type ${model.type}).`,
    ],
  });
  return { name: title, type: model.type, text, plan: planText(text, file), notCarried: model.notCarried };
}

/** One warning for every clause of what is not carried. */
export function importWarnings({ notCarried }: ImportedStudy): readonly Diagnostic[] {
  return notCarried.map((clause) => ({
    ...problem("LMX5106", `Not carried into the study: ${clause}`),
    severity: "warning",
  }));
}

function planText(text: string, file: string): Plan {
  try {
    return plan(parseStudy(text, { file }).spec);
  } catch (error) {
    if (!(error instanceof LayermixError)) throw error;
    const problems = error.diagnostics.map(({ message, help }) =>
      problem("LMX5105", `${message} (read from ${file})`, ...help),
    );
    throw new LayermixError(problems, exitCodes.invalidFile);
  }
}

function configFile(source: string): string {
  try {
    return statSync(source).isDirectory() ? join(source, "config.json") : source;
  } catch (error) {
    throw cannotRead(source, error);
  }
}

function cannotRead(file: string, error: unknown): LayermixError {
  return invalidFile(
    "LMX5005",
    `Expected to read ${file}, got: ${systemReason(error)}`,
    "give a config.json, or the folder of a Hugging Face model that has one",
  );
}

/** At most one byte more than the limit is read, so that a device or weights given by mistake do no harm. */
function readConfig(file: string): string {
  const bytes = Buffer.alloc(maxConfigBytes + 1);
  let length = 0;
  try {
    const handle = openSync(file, "r");
    try {
      for (let read = -1; read !== 0 && length < bytes.length; length += read) {
        read = readSync(handle, bytes, length, bytes.length - length, null);
      }
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    throw cannotRead(file, error);
  }
  if (length > maxConfigBytes) {
    throw invalidFile("LMX5101", `Expected a config.json of at most 4 MiB, got more in ${file}`);
  }
  return bytes.toString("utf8", 0, length);
}

/** The folder's name, or the file's where it is not called config.json, as a study may be called. */
function studyName(file: string): string {
  const own = basename(file).replace(/\.json$/, "");
  const text = own === "config" ? basename(dirname(resolve(file))) : own;
  const name = text.replace(/[^A-Za-z0-9._-]/g, "-").replace(/^[^A-Za-z0-9]+/, "");
  return name.slice(0, 64) || "imported";
}
