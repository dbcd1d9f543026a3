// The pattern of a model: placed from its mix, or taken as given, cut down to what can be planned. Kinds that
// are recognised but not built are refused by name here; parse_pattern.ts accepts the whole grammar.

import { builtInKinds, countLayers, type LayerKind } from "../block/layer_kinds.js";
import type { LayoutSource } from "../spec/spec.js";
import { allocationNotes, checkMix } from "./allocation.js";
import { pipelineCut, plannableSymbols, symbolTitle } from "./layer_symbols.js";
import { parsePattern } from "./parse_pattern.js";
import { placeLayers } from "./placement.js";
import { infeasible } from "./plan_error.js";
import type { PlanNote } from "./plan_types.js";

export interface Layout {
  readonly pattern: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly notes: readonly PlanNote[];
}

/**
 * The layers of a model, in order; `kinds` are those that its study file can name.
 * @throws LayermixError LMX2001-2012, exit 3 for a malformed pattern, else 4
 */
export function layOut(source: LayoutSource, kinds: readonly LayerKind[] = builtInKinds): Layout {
  if (source.kind === "pattern") return explicit(source.pattern, kinds);
  checkMix(source.mix, kinds);
  if (!Number.isSafeInteger(source.layers) || source.layers < 1) {
    throw infeasible("LMX2007", `Expected a whole number of layers above 0, got ${source.layers}`, [
      "set model.layers to at least 1",
    ]);
  }
  const pattern = placeLayers(source.layers, source.mix, source.placement, kinds);
  const counts = countLayers(pattern, kinds);
  return { pattern, counts, notes: allocationNotes(source.layers, source.mix, counts, kinds) };
}

function explicit(text: string, kinds: readonly LayerKind[]): Layout {
  const parsed = parsePattern(text, kinds);
  if (parsed.mtp !== null) {
    throw infeasible(
      "LMX2005",
      `Multi-token prediction (the suffix /${parsed.mtp}) is not supported yet`,
      [`remove the suffix: ${parsed.main ?? ""}`],
      "model.pattern",
    );
  }
  const pattern = (parsed.main ?? "").replaceAll(pipelineCut, "");
  if (pattern === "") {
    throw infeasible("LMX2006", "Expected at least one layer in the pattern, got none", [
      `layer symbols are ${plannableSymbols(kinds)}`,
    ]);
  }
  const missing = [...new Set(pattern)].find((symbol) => !kinds.some((kind) => kind.symbol === symbol));
  if (missing !== undefined) {
    throw infeasible(
      "LMX2004",
      `${capitalised(symbolTitle(missing) ?? missing)} (${missing}) is not supported yet`,
      [`layers that can be planned are ${plannableSymbols(kinds)}`],
      "model.pattern",
    );
  }
  const notes: PlanNote[] = [];
  if (parsed.segments.length > 1) {
    notes.push({
      code: "LMX2106",
      message: `pipeline cuts of the pattern are left out (${parsed.segments.length} segments)`,
    });
  }
  return { pattern, counts: countLayers(pattern, kinds), notes };
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
