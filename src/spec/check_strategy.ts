// The meaning of sweep.strategy: ranges need a strategy that draws from them, rungs keep some but not all, and what an
// evolution may breed can be trained as it is.

import { type KindOptions, layerKinds } from "../block/layer_kinds.js";
import { similarName } from "../diag/suggest.js";
import { checkPositiveShare } from "./check_number.js";
import type { Checker, Section } from "./checker.js";
import { listNames } from "./describe.js";

/** @param axes paths of sweep.over. */
export function checkStrategy(checker: Checker, sweep: Section, axes: readonly string[]): void {
  const place = ["sweep", "strategy"];
  const strategy = checker.section(place);
  const [kind, options] = Object.entries(strategy ?? { grid: {} })[0] ?? ["grid", {}];
  if (checker.doubtful([...place, kind], false)) return;
  checkRanges(checker, kind, options as Section, axes);
  if (kind === "halving" || kind === "asha") checkPositiveShare(checker, [...place, kind, "keep"], 1);
  if (kind === "evolution") checkEvolution(checker, sweep);
}

function checkRanges(checker: Checker, kind: string, options: Section, axes: readonly string[]): void {
  const ranged = axes.find((path) => {
    const axis = checker.read(["sweep", "over", path]);
    return typeof axis === "object" && !Array.isArray(axis);
  });
  if (ranged === undefined || options.trials !== undefined || checker.doubtful(["sweep", "strategy"])) return;
  checker.error(
    ["sweep", "over", ranged],
    "LMX1308",
    `Expected a strategy that says how many candidates to draw from the range, got ${kind}`,
    ["for example strategy: { sobol: { trials: 16 } }, or trials: 16 in halving and asha"],
  );
}

function checkEvolution(checker: Checker, sweep: Section): void {
  const place = ["sweep", "strategy", "evolution"];
  const kinds = layerKinds((checker.section(["model", "blocks"]) ?? {}) as KindOptions).map(
    ({ name }) => name,
  );
  for (const kind of Object.keys(checker.section([...place, "counts"]) ?? {})) {
    if (!kinds.includes(kind)) {
      const help = similarName("kind", kind, kinds) ?? `the kinds are ${listNames(kinds, "and")}`;
      checker.error(
        [...place, "counts", kind],
        "LMX1309",
        `Unknown layer kind ${kind} at counts`,
        [help],
        "key",
      );
    } else checkBounds(checker, [...place, "counts", kind]);
  }
  checkBounds(checker, [...place, "layers"]);
  const changed = ["layers", "mix", "pattern", "placement"].find((key) =>
    checker.sound(["proxy", "model", key]),
  );
  if (changed === undefined || sweep.over === undefined) return;
  checker.error(
    ["proxy", "model", changed],
    "LMX1310",
    `Expected a proxy with the layers of its candidate, got proxy.model.${changed}`,
    [
      "evolution searches the order of layers, and a proxy of another depth has another order",
      "give model the depth that is trained, and leave the width to proxy.model.hidden",
    ],
    "key",
  );
}

function checkBounds(checker: Checker, place: readonly (string | number)[]): void {
  const value = checker.read(place);
  if (!Array.isArray(value) || value[0] <= value[1]) return;
  const message = `Expected [least, most], got [${value.join(", ")}]`;
  checker.error(place, "LMX1309", message, [`for example [${value[1]}, ${value[0]}]`]);
}
