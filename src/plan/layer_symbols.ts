// Every symbol a layer pattern may hold, in the order in which Megatron counts them, and which of them
// layermix can build.

import { blockBySymbol } from "../block/registry.js";

export interface LayerSymbol {
  readonly symbol: string;
  /** As it reads in a sentence: "mixture of experts". */
  readonly title: string;
}

export const layerSymbols: readonly LayerSymbol[] = [
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

const titles = new Map(layerSymbols.map(({ symbol, title }) => [symbol, title]));

/** The title of a layer symbol, undefined for other characters. */
export function symbolTitle(symbol: string): string | undefined {
  return titles.get(symbol);
}

/** Symbols that can be planned, with their titles: "M (Mamba-2), * (attention), - (MLP)". */
export function plannableSymbols(): string {
  return layerSymbols
    .filter(({ symbol }) => blockBySymbol(symbol) !== undefined)
    .map(({ symbol, title }) => `${symbol} (${title})`)
    .join(", ");
}
