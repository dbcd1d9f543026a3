// The layer pattern grammar, with the acceptance and rejection of Megatron-LM main (and further symbols): `<main>(/<mtp>)*`, where
// main may hold pipeline cuts `|` (segments may be empty) and every multi-token-prediction suffix repeats the
// same text. Case sensitive, no white space. Order of checks as there: suffixes equal, then symbols, then
// attention variants, each part on its own.

import type { LayerKind } from "../block/layer_kinds.js";
import { type Diagnostic, type DiagnosticCode, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { layerSymbols, megatronSymbols, mtpSeparator, pipelineCut, symbolTitle } from "./layer_symbols.js";

export interface ParsedPattern {
  /** Main pattern with its pipeline cuts; null where the text has none (it is empty, or starts with "/"). */
  readonly main: string | null;
  /** The suffix that is repeated for every predicted token; null without one. */
  readonly mtp: string | null;
  readonly mtpDepths: number;
  /** Main pattern cut at "|", one entry without a cut. */
  readonly segments: readonly string[];
  /** Layers of the main pattern. */
  readonly layers: number;
  /** Layers by symbol, main pattern and all suffixes together; zeros included for Megatron's symbols. */
  readonly counts: Readonly<Record<string, number>>;
}

function fail(code: DiagnosticCode, message: string, help: readonly string[]): never {
  const diagnostic: Diagnostic = { code, severity: "error", message, help, path: "model.pattern" };
  throw new LayermixError(diagnostic, exitCodes.invalidFile);
}

type Kinds = readonly LayerKind[] | undefined;

function symbolHelp(symbol: string, kinds: Kinds): readonly string[] {
  const list = layerSymbols(kinds)
    .map((entry) => `${entry.symbol} (${entry.title})`)
    .join(", ");
  const upper = symbol.toUpperCase();
  if (upper !== symbol && symbolTitle(upper, kinds) !== undefined) {
    return [`symbols are case sensitive; ${symbolTitle(upper, kinds)} is ${upper}`];
  }
  if (/\s/.test(symbol)) return ["a pattern has no white space; remove it"];
  return [
    `layer symbols are ${list}; ${pipelineCut} cuts pipeline stages and ${mtpSeparator} starts a suffix`,
  ];
}

/** Checks the symbols of one part, `offset` characters into the whole text. */
function checkPart(part: string, offset: number, name: string, cutsAllowed: boolean, kinds?: Kinds): void {
  const known = new Set(layerSymbols(kinds).map(({ symbol }) => symbol));
  for (const [i, symbol] of [...part].entries()) {
    if (known.has(symbol) || (cutsAllowed && symbol === pipelineCut)) continue;
    fail(
      "LMX2001",
      `Expected a layer symbol at column ${offset + i + 1} of the ${name}, got ${JSON.stringify(symbol)}`,
      symbol === pipelineCut
        ? ["pipeline cuts belong to the main pattern, in front of the first /"]
        : symbolHelp(symbol, kinds),
    );
  }
  if (part.includes("*") && /[D+]/.test(part)) {
    fail(
      "LMX2003",
      `Expected one kind of attention in the ${name}, got * beside ${part.includes("D") ? "D" : "+"}`,
      ["use either * or the latent and sparse kinds D and +"],
    );
  }
}

/** The text in front of the first "/": what `--hybrid-layer-pattern` calls the main pattern. */
function splitPattern(text: string): { main: string | null; suffixes: readonly string[] } {
  const [main = "", ...suffixes] = text.split(mtpSeparator);
  return { main: main === "" ? null : main, suffixes };
}

/**
 * Parses a layer pattern; `kinds` are those of the model, the built-in ones by default.
 * @throws LayermixError LMX2001 (symbol), LMX2002 (suffixes differ), LMX2003 (attention variants mixed), with
 * the column
 */
export function parsePattern(text: string, kinds?: Kinds): ParsedPattern {
  const { main, suffixes } = splitPattern(text);
  const [first = ""] = suffixes;
  const different = suffixes.findIndex((suffix) => suffix !== first);
  if (different > 0) {
    fail(
      "LMX2002",
      `Expected every suffix after / to be ${JSON.stringify(first)}, got ${JSON.stringify(suffixes[different])}`,
      ["multi-token prediction repeats one suffix: write the same text after every /"],
    );
  }
  checkPart(main ?? "", 0, "main pattern", true, kinds);
  checkPart(first, (main ?? "").length + 1, "suffix", false, kinds);
  const mtpDepths = first === "" ? 0 : suffixes.length;
  const all = (main ?? "") + first.repeat(mtpDepths);
  const counted = layerSymbols(kinds).map(({ symbol }) => [symbol, all.split(symbol).length - 1] as const);
  const megatron = new Set(megatronSymbols.map(({ symbol }) => symbol));
  const counts = Object.fromEntries(counted.filter(([symbol, count]) => count > 0 || megatron.has(symbol)));
  return {
    main,
    mtp: mtpDepths === 0 ? null : first,
    mtpDepths,
    segments: (main ?? "").split(pipelineCut),
    layers: mainLayers(text, kinds),
    counts,
  };
}

/**
 * Layers of the main pattern alone, whatever follows it.
 * @throws LayermixError as parsePattern, for the main pattern
 */
export function mainLayers(text: string, kinds?: Kinds): number {
  const main = splitPattern(text).main ?? "";
  checkPart(main, 0, "main pattern", true, kinds);
  return main.replaceAll(pipelineCut, "").length;
}

/** Pipeline segments of the main pattern: the number of its cuts and one more. Symbols are not checked. */
export function segmentCount(text: string): number {
  return (splitPattern(text).main ?? "").split(pipelineCut).length;
}

/** The layer symbols of one pipeline segment, where neither cuts nor suffixes may stand. */
export function segmentLayers(text: string): readonly string[] {
  checkPart(text, 0, "segment", false);
  return [...text];
}
