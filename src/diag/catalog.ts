// Every LMX code with its explanation, merged from the tables of the rooms. `layermix explain` reads it, and a test
// proves that each code used in src/ is here exactly once.

import type { CodeEntry, CodeTable } from "./code_table.js";
import { internalCodes } from "./codes/internal.js";
import { interopCodes } from "./codes/interop.js";
import { planCodes } from "./codes/plan.js";
import { projectCodes } from "./codes/project.js";
import { runCodes } from "./codes/run.js";
import { specCodes } from "./codes/spec.js";
import { studyCodes } from "./codes/study.js";
import { taskCodes } from "./codes/task.js";
import { usageCodes } from "./codes/usage.js";
import type { DiagnosticCode } from "./diagnostic.js";

/** The tables by room, in code order. */
export const codeTables: Readonly<Record<string, CodeTable>> = {
  internal: internalCodes,
  spec: specCodes,
  plan: planCodes,
  project: projectCodes,
  run: runCodes,
  study: studyCodes,
  interop: interopCodes,
  usage: usageCodes,
  task: taskCodes,
};

/** All codes, ascending. */
export function allCodes(): readonly (readonly [DiagnosticCode, CodeEntry])[] {
  return Object.values(codeTables)
    .flatMap((table) => Object.entries(table) as [DiagnosticCode, CodeEntry][])
    .sort(([a], [b]) => a.localeCompare(b));
}

/** The entry of a code; accepts "LMX1203", "lmx1203" and "1203". Undefined if there is none. */
export function findCode(text: string): readonly [DiagnosticCode, CodeEntry] | undefined {
  const wanted = `LMX${text.trim().toUpperCase().replace(/^LMX/, "")}`;
  return allCodes().find(([code]) => code === wanted);
}
