// What the six tasks of MAD share: the source, the figure they are judged by, and the next-token targets of training.
// Poli et al., "Mechanistic Design and Scaling of Hybrid Architectures" (MAD), arXiv 2403.17844; generators of
// athms/mad-lab, mad/data/instances.py. There, training asks for every next token and testing only for what the row
// determines; so it is here. A row here has `sequence` tokens, the target of the last one included where there is one.

import type { PrimaryMetric } from "./task.js";

export const madPaper =
  "Poli et al., Mechanistic Design and Scaling of Hybrid Architectures, arXiv 2403.17844, and athms/mad-lab";

export const accuracy: PrimaryMetric = { name: "accuracy", direction: "higher", title: "accuracy" };

/** Asks for every next token of a row; the last one has none. */
export function askNextTokens(
  tokens: Int32Array,
  targets: Int32Array,
  offset: number,
  sequence: number,
): void {
  for (let i = 0; i + 1 < sequence; i++) targets[offset + i] = tokens[offset + i + 1]!;
}

/** "12.5%": how often a uniform guess among `choices` is right. */
export function guessLevel(choices: number): string {
  return `${(100 / choices).toFixed(1)}%`;
}
