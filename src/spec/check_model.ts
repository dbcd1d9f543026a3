// The meaning of `model`: one layout, shares that total 100%, a placement inside the model, block options that fit the
// hidden width. What only shows once layers are allocated (counts a placement cannot honour) is left to plan/.

import { type LayerKind, takenSymbols } from "../block/layer_kinds.js";
import { blockIssues } from "./block_issues.js";
import type { Checker, Section } from "./checker.js";
import { listNames } from "./describe.js";
import { declaredKinds } from "./kind_names.js";
import type { Path } from "./path.js";
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
  const kinds = declaredKinds(model.blocks);
  checkSymbols(checker, kinds);
  const used = usedKinds(model, kinds, sweptPaths, fill);
  checkBlocks(checker, model, kinds, used, sweptPaths);
}

function checkLayout(checker: Checker, model: Section): void {
  if (model.pattern === undefined) {
    if (checker.doubtful(["model", "pattern"])) return;
    if (model.mix === undefined) {
      if (checker.doubtful(["model", "mix"])) return;
      checker.error(["model", "mix"], "LMX1202", "Expected mix or pattern in model, got neither", [
        "add the shares of the layers, for example mix: { mamba2: 43%, attention: 7%, mlp: 50% }",
      ]);
    } else if (model.layers === undefined && !checker.doubtful(["model", "layers"])) {
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
  const others = kinds.length < 3 ? ", or add another kind" : "";
  const help =
    total > 1
      ? `${rest} too much: lower ${kinds.length === 1 ? kinds[0] : `one of ${listNames(kinds)}`}`
      : `${rest} is left: raise ${kinds.length === 1 ? kinds[0] : `one of ${listNames(kinds)}`}${others}`;
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

/** Symbols of named kinds stand for one kind only. */
function checkSymbols(checker: Checker, kinds: readonly LayerKind[]): void {
  const seen = new Map<string, string>();
  for (const { name, symbol, block } of kinds) {
    if (name === block.kind) continue;
    const place = ["model", "blocks", name, "symbol"];
    const other =
      seen.get(symbol) ??
      (takenSymbols.includes(symbol)
        ? (kinds.find((kind) => kind.symbol === symbol)?.name ?? "Megatron")
        : undefined);
    if (other !== undefined) {
      checker.error(
        place,
        "LMX1211",
        `Expected a symbol of its own for ${name}, got ${symbol}, the symbol of ${other}`,
        ["choose a letter or digit that no other kind has"],
      );
    }
    seen.set(symbol, name);
  }
}

/** Kinds that at least one candidate can have; undefined if the layout does not say. */
function usedKinds(
  model: Section,
  kinds: readonly LayerKind[],
  sweptPaths: readonly string[],
  fill: string | undefined,
): ReadonlySet<string> {
  const used = new Set<string>();
  if (typeof model.pattern === "string") {
    for (const symbol of model.pattern) {
      const kind = kinds.find((known) => known.symbol === symbol);
      if (kind !== undefined) used.add(kind.name);
    }
  } else if (typeof model.mix === "object" && model.mix !== null) {
    for (const [kind, share] of Object.entries(model.mix)) if (parseShare(share) > 0) used.add(kind);
  }
  for (const path of sweptPaths) if (path.startsWith("mix.")) used.add(path.slice("mix.".length));
  if (fill !== undefined) used.add(fill);
  return used;
}

/** Options of kinds that no candidate has do nothing; the others must fit the hidden width and each other. */
function checkBlocks(
  checker: Checker,
  model: Section,
  kinds: readonly LayerKind[],
  used: ReadonlySet<string>,
  sweptPaths: readonly string[],
): void {
  const options = checker.section(["model", "blocks"]) ?? {};
  const given = Object.keys(options).filter((name) => kinds.some((kind) => kind.name === name));
  const layoutDoubtful =
    used.size === 0 || ["mix", "pattern"].some((key) => checker.doubtful(["model", key]));
  for (const kind of layoutDoubtful ? [] : given.filter((name) => !used.has(name))) {
    checker.warning(
      ["model", "blocks", kind],
      "LMX1209",
      `Options of ${kind} are not used: the model has no such layer`,
      [`remove them, or give ${kind} a share`],
      "key",
    );
  }
  const doubtful = (path: string) =>
    sweptPaths.includes(path) || checker.doubtful(["model", ...path.split(".")]);
  for (const kind of new Set([...used, ...(layoutDoubtful ? given : [])])) {
    const block = kinds.find(({ name }) => name === kind)?.block;
    const place = ["model", "blocks", kind];
    const raw = options[kind] === undefined ? {} : checker.section(place);
    if (block === undefined || raw === undefined || widthGivenTwice(checker, place, raw)) continue;
    for (const issue of blockIssues(kind, block, raw, model, doubtful)) {
      const option = issue.option === "" ? [] : issue.option.split(".");
      checker.error([...place, ...option], "LMX1206", `${issue.message}, at ${place.join(".")}`, issue.help);
    }
  }
}

function widthGivenTwice(checker: Checker, place: Path, raw: Section): boolean {
  const key = ["heads", "width"].find((name) => raw[name] !== undefined);
  if (key === undefined || raw.expand === undefined) return false;
  checker.error(
    [...place, key],
    "LMX1208",
    `Expected either ${key} or expand for ${place.at(-1)}, got both`,
    [
      `${key === "heads" ? "heads x head_dim" : key} and expand x hidden are the same width; remove one of the two`,
    ],
    "key",
  );
  return true;
}
