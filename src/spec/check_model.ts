// The meaning of `model`: one layout, shares that total 100%, a placement inside the model, block options that fit the
// hidden width. What only shows once layers are allocated (counts a placement cannot honour) is left to plan/.

import { blockByKind, blockBySymbol } from "../block/registry.js";
import type { Checker, Section } from "./checker.js";
import { listNames } from "./describe.js";
import { parseShare, showShare } from "./quantity.js";

/** Shares are compared in millionths of a percent, well above the rounding of a sum of doubles. */
const shareTolerance = 1e-8;

/** Runs all checks of the model; `sweptPaths` are the axes of the sweep, which replace values of the file. */
export function checkModel(checker: Checker, sweptPaths: readonly string[], fill: string | undefined): void {
  const model = checker.section(["model"]);
  if (model === undefined) return;
  checkLayout(checker, model);
  checkTotal(checker);
  checkPlacement(checker, model);
  const used = usedKinds(model, sweptPaths, fill);
  checkBlocks(checker, model, used, sweptPaths);
}

function checkLayout(checker: Checker, model: Section): void {
  if (model.pattern === undefined) {
    if (model.mix === undefined) {
      checker.error(["model", "mix"], "LMX1202", "Expected mix or pattern in model, got neither", [
        "add the shares of the layers, for example mix: { mamba2: 43%, attention: 7%, mlp: 50% }",
      ]);
    } else if (model.layers === undefined) {
      checker.error(["model", "layers"], "LMX1102", "Missing key layers at model", [
        "a mix needs the number of layers",
      ]);
    }
    return;
  }
  for (const key of ["mix", "placement"]) {
    if (model[key] === undefined) continue;
    checker.error(
      ["model", key],
      "LMX1201",
      `Expected either pattern or ${key} in model, got both`,
      [`remove ${key} to use the pattern as it is, or remove pattern`],
      "key",
    );
  }
  const pattern = checker.read(["model", "pattern"]);
  const layers = checker.read(["model", "layers"]);
  if (typeof pattern !== "string" || typeof layers !== "number" || model.mix !== undefined) return;
  const length = pattern.replace(/\/.*$/s, "").replaceAll("|", "").length;
  if (length === layers) return;
  checker.error(
    ["model", "layers"],
    "LMX1204",
    `Expected layers to be the length of the pattern, ${length}, got ${layers}`,
    ["remove layers: it follows from the pattern"],
  );
}

function checkTotal(checker: Checker): void {
  const mix = checker.read(["model", "mix"]) as Section | undefined;
  if (mix === undefined) return;
  const total = Object.values(mix).reduce<number>((sum, share) => sum + parseShare(share), 0);
  if (Math.abs(total - 1) <= shareTolerance) return;
  const rest = showShare(Math.abs(1 - total));
  const kinds = Object.keys(mix);
  const help =
    total > 1
      ? `${rest} too much: lower ${kinds.length === 1 ? kinds[0] : `one of ${listNames(kinds)}`}`
      : `${rest} is left: raise ${kinds.length === 1 ? kinds[0] : `one of ${listNames(kinds)}`}, or add another kind`;
  checker.error(["model", "mix"], "LMX1203", `Shares of model.mix must total 100%, got ${showShare(total)}`, [
    help,
  ]);
}

function checkPlacement(checker: Checker, model: Section): void {
  const at = checker.read(["model", "placement", "at"]);
  const layers = checker.read(["model", "layers"]);
  if (!Array.isArray(at) || typeof layers !== "number" || model.pattern !== undefined) return;
  const seen = new Set<number>();
  at.forEach((index: number, i) => {
    const path = ["model", "placement", "at", i];
    if (index >= layers) {
      checker.error(
        path,
        "LMX1205",
        `Expected a layer from 0 to ${layers - 1} at model.placement.at, got ${index}`,
        ["layers count from 0"],
      );
    } else if (seen.has(index)) {
      checker.error(
        path,
        "LMX1205",
        `Expected every layer once at model.placement.at, got ${index} twice`,
        [],
      );
    }
    seen.add(index);
  });
}

/** Kinds that at least one candidate can have; undefined if the layout does not say. */
function usedKinds(
  model: Section,
  sweptPaths: readonly string[],
  fill: string | undefined,
): ReadonlySet<string> {
  const used = new Set<string>();
  if (typeof model.pattern === "string") {
    for (const symbol of model.pattern) {
      const block = blockBySymbol(symbol);
      if (block !== undefined) used.add(block.kind);
    }
  } else if (typeof model.mix === "object" && model.mix !== null) {
    for (const [kind, share] of Object.entries(model.mix)) if (parseShare(share) > 0) used.add(kind);
  }
  for (const path of sweptPaths) if (path.startsWith("mix.")) used.add(path.slice("mix.".length));
  if (fill !== undefined) used.add(fill);
  return used;
}

function checkBlocks(
  checker: Checker,
  model: Section,
  used: ReadonlySet<string>,
  sweptPaths: readonly string[],
): void {
  const options = checker.section(["model", "blocks"]) ?? {};
  for (const kind of Object.keys(options)) {
    if (used.has(kind) || blockByKind(kind) === undefined || used.size === 0) continue;
    checker.warning(
      ["model", "blocks", kind],
      "LMX1209",
      `Options of ${kind} are not used: the model has no such layer`,
      [`remove them, or give ${kind} a share`],
      "key",
    );
  }
  const mamba2 = checker.read(["model", "blocks", "mamba2"]) as Section | undefined;
  if (mamba2?.heads !== undefined && mamba2.expand !== undefined) {
    checker.error(
      ["model", "blocks", "mamba2", "heads"],
      "LMX1208",
      "Expected either heads or expand for mamba2, got both",
      ["heads x head_dim and expand x hidden are the same width; remove one of the two"],
      "key",
    );
    return;
  }
  const hidden = checker.read(["model", "hidden"]);
  if (typeof hidden !== "number" || sweptPaths.includes("hidden")) return;
  const layers = typeof model.layers === "number" ? model.layers : 1;
  for (const kind of used) {
    const block = blockByKind(kind);
    const path = ["model", "blocks", kind];
    const given = checker.document.at(path) !== undefined;
    if (block === undefined || (given && !checker.sound(path))) continue;
    if (sweptPaths.some((swept) => swept.startsWith(`blocks.${kind}`))) continue;
    const context = { hidden, layers };
    const raw = (options[kind] ?? {}) as Section;
    for (const issue of block.check(block.resolve(raw, context), context)) {
      const option = issue.option === "" ? [] : issue.option.split(".");
      checker.error([...path, ...option], "LMX1206", `${issue.message}, at model.blocks.${kind}`, issue.help);
    }
  }
}
