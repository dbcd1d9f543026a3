// Rows of in-context recall and its noisy form: keys followed by their values, drawn with replacement, so that a key comes
// again with the value it had before:  k3 v1 k5 v2 k3 v1 n7 n2 k5 v2 .  The last pair always repeats a key. A pair may be
// noise instead. Tokens: keys, values, noise. MAD, generate_in_context_recall_instance with multi_query.

import { askNextTokens } from "./mad.js";
import type { RowRandom } from "./row_random.js";
import type { WriteRandomRow } from "./row_task.js";

export interface PairShape {
  readonly sequence: number;
  readonly keys: number;
  readonly values: number;
  readonly noise: number;
  /** Share of pairs that are noise. */
  readonly noiseShare: number;
}

/** Half of what is not noise are keys, the rest values. */
export function pairShape(vocab: number, noise: number, noiseShare: number, sequence: number): PairShape {
  const keys = Math.floor((vocab - noise) / 2);
  return { sequence, keys, values: vocab - noise - keys, noise, noiseShare };
}

/** @param ask "values" marks the values of keys seen before, "all" every next token. */
export function pairRowWriter(shape: PairShape, ask: "values" | "all"): WriteRandomRow {
  const { sequence, keys, values, noise, noiseShare } = shape;
  const pairs = sequence / 2;
  const bound = new Int32Array(keys);
  const seen = new Int32Array(keys);
  return (random: RowRandom, tokens, targets, offset) => {
    bound.fill(-1);
    let seenCount = 0;
    // One pair before the last is never noise, so that there is a key to repeat. (mad-lab may draw the last one here,
    // and then has nothing to repeat.)
    const kept = random.below(pairs - 1);
    for (let pair = 0; pair < pairs; pair++) {
      const at = offset + 2 * pair;
      const last = pair === pairs - 1;
      if (!last && pair !== kept && noiseShare > 0 && random.fraction() < noiseShare) {
        tokens[at] = keys + values + random.below(noise);
        tokens[at + 1] = keys + values + random.below(noise);
        continue;
      }
      const key = last ? seen[random.below(seenCount)]! : random.below(keys);
      const known = bound[key]! >= 0;
      if (!known) {
        bound[key] = keys + random.below(values);
        seen[seenCount++] = key;
      }
      tokens[at] = key;
      tokens[at + 1] = bound[key]!;
      if (known && ask === "values") targets[at] = bound[key]!;
    }
    if (ask === "all") askNextTokens(tokens, targets, offset, sequence);
  };
}

/** Keys as k1, values as v1, noise as ~1; asked places in brackets with their answer. */
export function pairWords(shape: PairShape, tokens: Int32Array, targets: Int32Array): string {
  const { keys, values } = shape;
  const word = (token: number) =>
    token < keys
      ? `k${token + 1}`
      : token < keys + values
        ? `v${token - keys + 1}`
        : `~${token - keys - values + 1}`;
  return Array.from(tokens, (token, i) =>
    targets[i]! < 0 ? word(token) : `[${word(token)} -> ${word(targets[i]!)}]`,
  ).join(" ");
}
