// The meaning of `proxy` and `rank`: batches of whole sequences, runs of at least one batch, weights that weigh.
// Task names and task options are checked by task/, which knows them.

import { similarName } from "../diag/suggest.js";
import { checkPositiveShare, checkWholeNumber } from "./check_number.js";
import type { Checker, Section } from "./checker.js";
import { defaults } from "./defaults.js";
import { listNames } from "./describe.js";
import type { Path } from "./path.js";
import { parseCount, parseLength, parseShare, showShare } from "./quantity.js";

export function checkProxy(checker: Checker): void {
  const proxy = checker.section(["proxy"]);
  if (proxy === undefined) {
    checkRank(checker, []);
    return;
  }
  const tasks = checker.sound(["proxy", "tasks"], false) ? checker.document.at(["proxy", "tasks"]) : [];
  const list = Array.isArray(tasks) ? tasks : [];
  // A task without a sound name may be the one that rank.by means.
  const named = list.every((_, i) => checker.sound(["proxy", "tasks", i, "task"]));
  checkRank(checker, named ? list.map((task) => String((task as Section).task)) : []);
  checkWholeNumbers(checker, ["proxy"]);
  checkBudget(checker, ["proxy"], {});
  list.forEach((_, i) => {
    checkWholeNumbers(checker, ["proxy", "tasks", i]);
    checkBudget(checker, ["proxy", "tasks", i], proxy);
  });
  checkWeights(checker, list);
  checkSchedule(checker);
  checkSeeds(checker);
  checkPositiveShare(checker, ["proxy", "optimizer", "lr", "length"]);
  checkPositiveShare(checker, ["proxy", "evaluate_every"]);
}

const budgetKeys = { sequence: parseLength, tokens: parseCount, batch_tokens: parseCount } as const;

function checkWholeNumbers(checker: Checker, place: Path): void {
  for (const [key, parse] of Object.entries(budgetKeys)) checkWholeNumber(checker, [...place, key], parse);
}

/** sequence | batch_tokens <= tokens, for the proxy or for a task with its own values (`outer`: the proxy's). */
function checkBudget(checker: Checker, place: Path, outer: Section): void {
  const own = checker.section(place);
  if (own === undefined) return;
  const budgetOf = (key: keyof typeof budgetKeys): number | undefined => {
    const value = own[key] ?? outer[key] ?? (key === "tokens" ? undefined : defaults.proxy[key]);
    const path = own[key] === undefined ? ["proxy", key] : [...place, key];
    return value === undefined || checker.doubtful(path) ? undefined : budgetKeys[key](value);
  };
  const isTask = place.length > 1;
  if (isTask && own.sequence === undefined && own.batch_tokens === undefined && own.tokens === undefined)
    return;
  const sequence = budgetOf("sequence");
  const batchTokens = budgetOf("batch_tokens");
  const tokens = budgetOf("tokens");
  const blame = (...keys: string[]): Path => [
    ...place,
    keys.find((key) => own[key] !== undefined) ?? keys[0]!,
  ];
  // A task repeats a complaint about the proxy only where it changes what the complaint is about.
  const changes = (...keys: string[]) => !isTask || keys.some((key) => own[key] !== undefined);
  const unevenBatch = sequence !== undefined && batchTokens !== undefined && batchTokens % sequence !== 0;
  if (unevenBatch && changes("sequence", "batch_tokens")) {
    const near = Math.max(1, Math.round(batchTokens / sequence)) * sequence;
    const message = `Expected batch_tokens to be a multiple of sequence, got ${batchTokens} and ${sequence}`;
    checker.error(blame("batch_tokens", "sequence"), "LMX1401", message, [`the nearest multiple is ${near}`]);
  } else if (
    tokens !== undefined &&
    batchTokens !== undefined &&
    tokens < batchTokens &&
    changes("tokens", "batch_tokens")
  ) {
    const message = `Expected tokens to hold at least one batch of ${batchTokens}, got ${tokens}`;
    checker.error(blame("tokens", "batch_tokens"), "LMX1402", message, [
      "raise tokens or lower batch_tokens",
    ]);
  }
}

function checkWeights(checker: Checker, tasks: readonly unknown[]): void {
  if (tasks.length === 0 || !checker.sound(["proxy", "tasks"])) return;
  const total = tasks.reduce<number>((sum, task) => sum + Number((task as Section).weight ?? 1), 0);
  if (total > 0) return;
  checker.error(
    ["proxy", "tasks"],
    "LMX1403",
    "Expected a task with a weight above 0 at proxy.tasks, got none",
    ["a task of weight 0 is measured, but does not count"],
    "key",
  );
}

function checkSchedule(checker: Checker): void {
  const optimizer = checker.read(["proxy", "optimizer"]) as Section | undefined;
  if (optimizer?.schedule !== "wsd") return;
  const warmup = parseShare(optimizer.warmup ?? defaults.optimizer.warmup);
  const decay = parseShare(optimizer.decay ?? defaults.optimizer.decay);
  if (warmup + decay <= 1) return;
  const message = `Expected warmup and decay to total at most 100%, got ${showShare(warmup + decay)}`;
  checker.error(["proxy", "optimizer", "decay"], "LMX1404", message, ["shorten one of the two"]);
}

function checkSeeds(checker: Checker): void {
  const seeds = checker.read(["proxy", "seeds"]) as Section | undefined;
  if (seeds === undefined || typeof seeds !== "object" || Number(seeds.min) < Number(seeds.max)) return;
  const message = `Expected min to be below max at proxy.seeds, got ${seeds.min} and ${seeds.max}`;
  checker.error(["proxy", "seeds", "max"], "LMX1406", message, [`for a fixed number: seeds: ${seeds.min}`]);
}

/** Costs that rank.objectives may name: known from the plan alone. */
export const objectiveNames = [
  "decode_bytes",
  "decode_seconds",
  "training_memory",
  "kv_bytes_per_token",
  "state_bytes",
  "params",
  "active_params",
  "flops_per_token",
] as const;

function checkObjectives(checker: Checker): void {
  const objectives = checker.read(["rank", "objectives"]);
  if (!Array.isArray(objectives)) return;
  objectives.forEach((name, i) => {
    if (objectiveNames.some((known) => known === name)) return;
    const near = similarName("cost", String(name), objectiveNames);
    const message = `Expected the name of a cost at rank.objectives, got ${JSON.stringify(name)}`;
    checker.error(["rank", "objectives", i], "LMX1407", message, [
      near ?? `costs are ${listNames(objectiveNames, "and")}`,
    ]);
  });
}

function checkRank(checker: Checker, tasks: readonly string[]): void {
  checkPositiveShare(checker, ["rank", "confidence"], 1);
  checkObjectives(checker);
  const by = checker.read(["rank", "by"]);
  if (by === undefined || tasks.length === 0) return;
  const names = ["score", "loss", ...new Set(tasks)];
  if (names.includes(String(by))) return;
  const near = similarName("task", String(by), names);
  const message = `Expected ${listNames(names)} at rank.by, got ${JSON.stringify(by)}`;
  checker.error(["rank", "by"], "LMX1405", message, near === undefined ? [] : [near]);
}
