// Options of a task as data: one declaration gives the defaults, the check, and the table of `task show` and docs/tasks.md.

import { similarName } from "../diag/suggest.js";
import { parseCount, parseShare } from "../spec/quantity.js";
import type { TaskIssue, TaskOptions } from "./task.js";

interface OptionBase {
  readonly name: string;
  readonly description: string;
}

export type TaskOption =
  | (OptionBase & {
      /** An integer may be written "64K", a share "10%". */
      readonly kind: "integer" | "number" | "share";
      readonly default: number;
      readonly minimum: number;
      readonly maximum: number;
    })
  | (OptionBase & { readonly kind: "choice"; readonly default: string; readonly choices: readonly string[] })
  | (OptionBase & { readonly kind: "text"; readonly default: string; readonly expected: string })
  | (OptionBase & { readonly kind: "files" });

/** Tokens of held-out data: every task has this option. */
export const evaluationTokens: TaskOption = {
  name: "evaluation_tokens",
  kind: "integer",
  default: 65_536,
  minimum: 1,
  maximum: 1e9,
  description: "Held-out tokens to measure on, rounded down to whole sequences (at least one).",
};

/** Size of the training set: the option of the published suites that train on the same rows for many epochs. */
export function trainRows(count: number): TaskOption {
  return {
    name: "train_rows",
    kind: "integer",
    default: count,
    minimum: 0,
    maximum: 1e9,
    description: "Training rows are drawn from this many fixed ones; 0 = every row is new.",
  };
}

/**
 * Fills defaults and checks each option by itself.
 * @param raw options as written in the study file, without `task`, `weight` and the budget overrides.
 * @returns every option with a value (the default where the given one is wrong) and all the issues.
 */
export function resolveTaskOptions(
  declared: readonly TaskOption[],
  raw: Readonly<Record<string, unknown>>,
): { readonly options: TaskOptions; readonly issues: readonly TaskIssue[] } {
  const issues: TaskIssue[] = [];
  const options: Record<string, number | string | readonly string[]> = {};
  for (const option of declared) {
    options[option.name] = option.kind === "files" ? [] : option.default;
    const given = raw[option.name];
    if (given === undefined && option.kind !== "files") continue;
    const value = readOption(option, given);
    if (value === undefined) {
      const message = `Expected ${expectation(option)} for ${option.name}, got ${given === undefined ? "nothing" : JSON.stringify(given)}`;
      issues.push({ option: option.name, message, help: [option.description] });
    } else {
      options[option.name] = value;
    }
  }
  const names = declared.map((option) => option.name);
  for (const key of Object.keys(raw)) {
    if (names.includes(key)) continue;
    const near = similarName("option", key, names);
    issues.push({
      option: key,
      message: `Unknown option ${key}`,
      help: [...(near === undefined ? [] : [near]), `options of this task: ${names.join(", ")}`],
    });
  }
  return { options, issues };
}

/** "an integer from 1 to 4096": what a value of this option looks like. */
export function expectation(option: TaskOption): string {
  switch (option.kind) {
    case "integer":
      return `an integer from ${option.minimum} to ${option.maximum}`;
    case "number":
      return `a number from ${option.minimum} to ${option.maximum}`;
    case "share":
      return `a share from ${option.minimum * 100}% to ${option.maximum * 100}%`;
    case "choice":
      return option.choices.length === 1 ? option.choices[0]! : `one of ${option.choices.join(", ")}`;
    case "text":
      return option.expected;
    case "files":
      return "a list of file names or globs";
  }
}

function readOption(option: TaskOption, given: unknown): number | string | readonly string[] | undefined {
  switch (option.kind) {
    case "integer":
    case "number":
    case "share": {
      const value = readNumber(option.kind, given);
      if (!(value >= option.minimum && value <= option.maximum)) return undefined;
      return option.kind === "integer" && !Number.isInteger(value) ? undefined : value;
    }
    case "choice":
      return typeof given === "string" && option.choices.includes(given) ? given : undefined;
    case "text":
      return typeof given === "string" ? given : undefined;
    case "files": {
      const list = typeof given === "string" ? [given] : given;
      if (!Array.isArray(list) || list.length === 0) return undefined;
      return list.every((item) => typeof item === "string" && item.length > 0)
        ? (list as string[])
        : undefined;
    }
  }
}

/** A number as study files write it: 65536 or "64K" for a count (K is 1000), 0.1 or "10%" for a share. */
function readNumber(kind: "integer" | "number" | "share", given: unknown): number {
  if (typeof given === "number") return given;
  if (typeof given !== "string") return Number.NaN;
  if (kind === "integer" && /^\d[\d.]* ?[KMB]?$/.test(given)) return parseCount(given);
  if (kind === "share" && /^\d[\d.]*%$/.test(given)) return parseShare(given);
  return Number.NaN;
}
