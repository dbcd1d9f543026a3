// Layer shares to a layer pattern, identical to Megatron-LM's pattern_from_ratios
// (megatron/core/models/hybrid, main) and to Algorithm 1 of arXiv 2406.07887: attention is spread evenly with
// Mamba-2 at both ends, then MLPs take the place of Mamba-2 layers, evenly and right-justified, never that of
// attention. IEEE doubles in exactly this order; rounding half to even.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";

/** Rounds to the nearest integer, halves to the even one (Python's round); `Math.round` rounds them up. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Puts `count` MLPs in place of Mamba-2 layers ("M" in `types`), evenly: the second half of the algorithm.
 */
export function placeMlps(types: string[], mambaCount: number, count: number): void {
  if (count <= 0) return;
  const mambaPerMlp = (mambaCount - count) / count;
  let distance = mambaPerMlp;
  for (let i = 0; i < types.length; i += 1) {
    if (types[i] !== "M") continue;
    if (distance < 0.5) {
      types[i] = "-";
      distance += mambaPerMlp;
    } else {
      distance -= 1;
    }
  }
}

function invalid(message: string, help: string): LayermixError {
  return new LayermixError({ code: "LMX2007", severity: "error", message, help: [help] }, exitCodes.usage);
}

/**
 * The layer pattern of `layers` layers with the given shares of attention and MLP; Mamba-2 takes the rest.
 *
 * @param layers whole number above 0
 * @param attentionRatio share of attention layers, a fraction in [0, 1]
 * @param mlpRatio share of MLP layers, a fraction in [0, 1]; both together at most 1
 * @returns one symbol per layer: "M" Mamba-2, "*" attention, "-" MLP
 * @throws LayermixError LMX2007 for arguments outside these ranges
 */
export function patternFromRatios(layers: number, attentionRatio = 0, mlpRatio = 0): string {
  if (!Number.isSafeInteger(layers) || layers <= 0) {
    throw invalid(`Expected a whole number of layers above 0, got ${layers}`, "give at least 1 layer");
  }
  for (const [name, ratio] of [["attention", attentionRatio] as const, ["mlp", mlpRatio] as const]) {
    if (!(ratio >= 0 && ratio <= 1)) {
      throw invalid(
        `Expected the ${name} ratio between 0 and 1, got ${ratio}`,
        "give shares as fractions: 0.07 for 7%",
      );
    }
  }
  if (attentionRatio + mlpRatio > 1) {
    throw invalid(
      `Expected the attention and mlp ratios to total at most 1, got ${attentionRatio} + ${mlpRatio}`,
      "lower one of the two; Mamba-2 takes what they leave",
    );
  }
  const attentionCount = roundHalfEven(layers * attentionRatio);
  const mambaCount = layers - attentionCount;
  const section = mambaCount / (attentionCount + 1);
  const types = new Array<string>(layers).fill("M");
  let distance = section;
  for (let i = 0; i < layers; i += 1) {
    if (distance < 0.5) {
      types[i] = "*";
      distance += section;
    } else {
      distance -= 1;
    }
  }
  placeMlps(types, mambaCount, roundHalfEven(layers * mlpRatio));
  return types.join("");
}
