// The meaning of `sweep`: axes that exist below model and take values that the model accepts, a kind that fills what
// swept shares leave, metrics that are known before any training.

import { blocks } from "../block/registry.js";
import { similarName } from "../diag/suggest.js";
import { checkStrategy } from "./check_strategy.js";
import type { Checker, Section } from "./checker.js";
import { listNames } from "./describe.js";
import { declaredKinds } from "./kind_names.js";
import { modelPaths } from "./model_paths.js";
import { parseAmount, parseShare, showShare } from "./quantity.js";
import { schemaProblems } from "./schema_problems.js";
import { modelSchemaErrors } from "./validators.js";

/** What `where` may bound: known from the plan alone. */
export const whereMetrics = [
  "params",
  "active_params",
  "flops",
  "flops_per_token",
  "megatron_flops",
  "training_memory",
  "kv_bytes_per_token",
  "state_bytes",
  "layers",
  "hidden",
] as const;

/** The axes of the sweep, [] without one. */
export function sweptPaths(checker: Checker): readonly string[] {
  return Object.keys(checker.section(["sweep", "over"]) ?? {});
}

export function checkSweep(checker: Checker): void {
  const sweep = checker.section(["sweep"]);
  if (sweep === undefined) return;
  const paths = sweptPaths(checker);
  for (const path of paths) checkAxis(checker, path);
  const shareAxes = paths.filter((path) => path.startsWith("mix."));
  // A misspelt axis is reported as such; what it leaves of 100% cannot be judged.
  const known = modelPaths(kindsOf(checker));
  if (shareAxes.every((path) => known.includes(path))) {
    checkFill(checker, sweep, shareAxes);
    checkShares(checker, sweep, shareAxes);
  }
  checkWhere(checker);
  checkStrategy(checker, sweep, paths);
}

/** The kinds that the file can name. */
function kindsOf(checker: Checker) {
  return declaredKinds(checker.document.at(["model", "blocks"]));
}

function checkAxis(checker: Checker, path: string): void {
  const place = ["sweep", "over", path];
  const known = modelPaths(kindsOf(checker));
  if (!known.includes(path)) {
    const withoutModel = path.replace(/^model\./, "");
    const help = known.includes(withoutModel)
      ? `paths start below model: ${withoutModel}`
      : (similarName("path", path, known) ?? "paths start below model, for example mix.attention or hidden");
    checker.error(place, "LMX1301", `Unknown path ${path} at sweep.over`, [help], "key");
    return;
  }
  const values = checker.read(place);
  if (!Array.isArray(values)) {
    if (values !== undefined) checkRange(checker, path, values as Section);
    return;
  }
  const model = checker.document.at(["model"]);
  const steps = path.split(".");
  values.forEach((value, i) => {
    // The value is put into the model, and the schema asked about this one place.
    const errors = modelSchemaErrors(withValue(model, steps, value));
    const [problem] = schemaProblems(errors).filter((found) => startsWith(found.path, steps));
    if (problem === undefined) return;
    const message = problem.message.replace(` at ${path}`, ` at sweep.over.${path}`);
    checker.error([...place, i], problem.code, message, problem.help);
  });
}

/** Shares alone can be ranges: they are what strategies spread points over. */
function checkRange(checker: Checker, path: string, { from, to }: Section): void {
  const place = ["sweep", "over", path];
  if (!path.startsWith("mix.")) {
    const help = ["list the values it takes; { from, to } is for shares (mix.attention)"];
    checker.error(place, "LMX1307", `Expected a list of values at sweep.over.${path}, got a range`, help);
  } else if (!(parseShare(from) < parseShare(to) && parseShare(to) <= 1)) {
    const got = `${showShare(parseShare(from))} to ${showShare(parseShare(to))}`;
    const help = ["from is the smaller share, to the larger one, at most 100%"];
    checker.error(place, "LMX1307", `Expected a range of shares at sweep.over.${path}, got ${got}`, help);
  }
}

function startsWith(path: readonly (string | number)[], beginning: readonly string[]): boolean {
  return beginning.every((step, i) => String(path[i]) === step);
}

function withValue(base: unknown, [step, ...rest]: readonly string[], value: unknown): unknown {
  if (step === undefined) return value;
  const object = typeof base === "object" && base !== null && !Array.isArray(base) ? (base as Section) : {};
  return { ...object, [step]: withValue(object[step], rest, value) };
}

function checkFill(checker: Checker, sweep: Section, shareAxes: readonly string[]): void {
  const fill = checker.read(["sweep", "fill"]);
  const place = ["sweep", "fill"];
  const [axis] = shareAxes;
  if (axis !== undefined && checker.document.at(["model", "pattern"]) !== undefined) {
    const message = `Expected model.mix for the axis ${axis}, got a model with a pattern`;
    const help = ["shares can be swept in a mix only; replace the pattern by a mix"];
    checker.error(["sweep", "over", axis], "LMX1303", message, help, "key");
    return;
  }
  if (fill === undefined) {
    const uncovered = blocks.map((block) => block.kind).find((kind) => !shareAxes.includes(`mix.${kind}`));
    if (checker.doubtful(place) || sweep.fill !== undefined || shareAxes.length === 0) return;
    checker.error(
      ["sweep"],
      "LMX1302",
      `Missing key fill at sweep: the axes are shares (${listNames(shareAxes, "and")})`,
      [`name the kind that takes what is left of 100%, for example fill: ${uncovered ?? "mamba2"}`],
      "key",
    );
    return;
  }
  const kinds = kindsOf(checker).map(({ name }) => name);
  if (!kinds.includes(String(fill))) {
    const near = similarName("kind", String(fill), kinds);
    checker.error(place, "LMX1303", `Expected a layer kind at sweep.fill, got ${JSON.stringify(fill)}`, [
      near ?? `the kinds are ${listNames(kinds, "and")}`,
    ]);
  } else if (shareAxes.includes(`mix.${fill}`)) {
    checker.error(place, "LMX1303", `Expected a kind that is not an axis itself at sweep.fill, got ${fill}`, [
      `remove mix.${fill} from sweep.over, or fill with another kind`,
    ]);
  }
}

/** Shares of the model that no axis replaces and that do not give way, plus the smallest value of every axis. */
function checkShares(checker: Checker, sweep: Section, shareAxes: readonly string[]): void {
  if (shareAxes.length === 0 || shareAxes.some((path) => !checker.sound(["sweep", "over", path]))) return;
  if (checker.document.at(["model", "mix"]) !== undefined && !checker.sound(["model", "mix"])) return;
  const mix = (checker.read(["model", "mix"]) ?? {}) as Section;
  let smallest = 0;
  for (const [kind, share] of Object.entries(mix)) {
    if (kind !== sweep.fill && !shareAxes.includes(`mix.${kind}`)) smallest += parseShare(share);
  }
  for (const path of shareAxes) {
    const axis = checker.document.at(["sweep", "over", path]);
    const shares = Array.isArray(axis) ? axis.map(parseShare) : [parseShare((axis as Section).from)];
    if (shares.some((share) => Number.isNaN(share))) return;
    smallest += Math.min(...shares);
  }
  if (smallest <= 1 + 1e-8) return;
  checker.error(
    ["sweep", "over"],
    "LMX1305",
    `Swept shares must leave room below 100%, the smallest total ${showShare(smallest)}`,
    ["shares of model.mix that no axis replaces count as well"],
    "key",
  );
}

function checkWhere(checker: Checker): void {
  const where = checker.document.at(["sweep", "where"]);
  if (!Array.isArray(where)) return;
  where.forEach((_, i) => {
    const place = ["sweep", "where", i];
    const constraint = checker.read(place) as Section | undefined;
    if (constraint === undefined) return;
    const metric = String(constraint.metric);
    if (!whereMetrics.some((name) => name === metric)) {
      const near = similarName("metric", metric, whereMetrics);
      checker.error(
        [...place, "metric"],
        "LMX1304",
        `Unknown metric ${JSON.stringify(metric)} at sweep.where`,
        [near ?? `the metrics are ${listNames(whereMetrics, "and")}`],
      );
    }
    const { min, max } = constraint;
    if (min === undefined && max === undefined) {
      checker.error([...place, "metric"], "LMX1306", "Expected min or max in this constraint, got neither", [
        "add for example max: 80GB",
      ]);
    } else if (min !== undefined && max !== undefined && parseAmount(min) > parseAmount(max)) {
      checker.error(
        [...place, "min"],
        "LMX1306",
        `Expected min to be at most max, got ${min} and ${max}`,
        [],
      );
    }
  });
}
