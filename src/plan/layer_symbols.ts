// Every symbol a layer pattern may hold: Megatron's, in the order in which it counts them, then those of the kinds
// that only layermix knows, then those of the kinds that the model names itself.

import { builtInKinds, type LayerKind } from "../block/layer_kinds.js";

export interface LayerSymbol {
  readonly symbol: string;
  /** As it reads in a sentence: "mixture of experts". */
  readonly title: string;
}

/** Megatron's symbols; counts list them all, zeros included. */
export const megatronSymbols: readonly LayerSymbol[] = [
  { symbol: "*", title: "attention" },
  { symbol: "D", title: "DeepSeek sparse attention" },
  { symbol: "G", title: "gated DeltaNet" },
  { symbol: "M", title: "Mamba-2" },
  { symbol: "+", title: "multi-head latent attention" },
  { symbol: "-", title: "MLP" },
  { symbol: "E", title: "mixture of experts" },
];

/** Pipeline stage boundary inside the main pattern. */
export const pipelineCut = "|";
/** Separates the main pattern from the multi-token-prediction suffixes. */
export const mtpSeparator = "/";

/** The symbols of patterns over these kinds, with their titles. */
export function layerSymbols(kinds: readonly LayerKind[] = builtInKinds): readonly LayerSymbol[] {
  const own = kinds.filter(({ symbol }) => !megatronSymbols.some((known) => known.symbol === symbol));
  return [
    ...megatronSymbols,
    ...own.map(({ name, symbol, block }) => ({ symbol, title: name === block.kind ? block.title : name })),
  ];
}

/** The title of a layer symbol, undefined for other characters. */
export function symbolTitle(symbol: string, kinds?: readonly LayerKind[]): string | undefined {
  return layerSymbols(kinds).find((known) => known.symbol === symbol)?.title;
}

/** Symbols that can be planned, with their titles: "M (Mamba-2), * (attention), - (MLP)". */
export function plannableSymbols(kinds: readonly LayerKind[] = builtInKinds): string {
  return layerSymbols(kinds)
    .filter(({ symbol }) => kinds.some((kind) => kind.symbol === symbol))
    .map(({ symbol, title }) => `${symbol} (${title})`)
    .join(", ");
}
