// Shares to whole layers. Every kind but Mamba-2 gets round-half-even(layers * share), Mamba-2 what is left:
// the counts that Megatron's algorithm aims at. Where two halves round up past the depth there is a layer too
// few; MLP gives way.

import type { Mix } from "../spec/spec.js";
import { roundHalfEven } from "./pattern_from_ratios.js";
import { infeasible } from "./plan_error.js";
import type { PlanNote } from "./plan_types.js";
import { percent } from "./words.js";

/** Layers by kind; mamba2 + attention + mlp = layers. */
export interface LayerCounts {
  readonly mamba2: number;
  readonly attention: number;
  readonly mlp: number;
}

const kinds = ["mamba2", "attention", "mlp"] as const;

/**
 * Fractions that miss a total of 1 by less than this are taken as 100% (33.3% + 66.7%, and the last bit of
 * doubles).
 */
const totalTolerance = 1e-6;

/**
 * Refuses kinds that cannot be allocated and shares that do not total 100%.
 * @throws LayermixError LMX2008, LMX2012
 */
export function checkMix(mix: Mix): void {
  for (const kind of Object.keys(mix)) {
    if (!(kinds as readonly string[]).includes(kind)) {
      throw infeasible(
        "LMX2008",
        `Expected shares of ${kinds.join(", ")}, got a share of ${kind}`,
        ["give this kind no share, or write the layers down as model.pattern"],
        `model.mix.${kind}`,
      );
    }
  }
  const total = Object.values(mix).reduce((sum, share) => sum + share, 0);
  const negative = Object.entries(mix).find(([, share]) => !(share >= 0 && share <= 1));
  if (negative !== undefined || !(Math.abs(total - 1) <= totalTolerance)) {
    const shares = Object.entries(mix).map(([kind, share]) => `${kind} ${percent(share)}`);
    throw infeasible(
      "LMX2012",
      negative === undefined
        ? `Expected shares that total 100%, got ${percent(total)} (${shares.join(", ")})`
        : `Expected shares between 0% and 100%, got ${shares.join(", ")}`,
      ["change the shares, or name the kind that takes what is left in sweep.fill"],
      "model.mix",
    );
  }
}

/** The attention and MLP ratios as Megatron takes them; a total above 1 by rounding is put back to 1. */
export function ratiosOf(mix: Mix): { attention: number; mlp: number } {
  const attention = mix.attention ?? 0;
  const mlp = mix.mlp ?? 0;
  return { attention, mlp: attention + mlp > 1 ? 1 - attention : mlp };
}

/** Whole layers for shares that have passed checkMix. */
export function allocate(layers: number, mix: Mix): LayerCounts {
  const ratios = ratiosOf(mix);
  const attention = roundHalfEven(layers * ratios.attention);
  const mlp = Math.min(roundHalfEven(layers * ratios.mlp), layers - attention);
  return { mamba2: layers - attention - mlp, attention, mlp };
}

/**
 * Notes on what rounding did: shares that came out differently, or without a single layer, or one layer
 * short.
 */
export function allocationNotes(layers: number, mix: Mix, got: Readonly<Record<string, number>>): PlanNote[] {
  const notes: PlanNote[] = [];
  const rounded: string[] = [];
  for (const kind of kinds) {
    const asked = mix[kind] ?? 0;
    const count = got[kind] ?? 0;
    if (asked > 0 && count === 0) {
      notes.push({
        code: "LMX2107",
        message: `${kind}: ${percent(asked)} of ${layers} layers is less than half a layer, so there is none`,
      });
    } else if (Math.abs(count / layers - asked) >= 0.0005) {
      rounded.push(`${kind} ${percent(asked)} is ${count} of ${layers} = ${percent(count / layers)}`);
    }
  }
  if (rounded.length > 0) notes.push({ code: "LMX2101", message: `whole layers: ${rounded.join(", ")}` });
  const ratios = ratiosOf(mix);
  const wanted = roundHalfEven(layers * ratios.attention) + roundHalfEven(layers * ratios.mlp);
  if (wanted > layers) {
    notes.push({
      code: "LMX2102",
      message: `attention and mlp both round up to ${wanted} layers of ${layers}; mlp has one layer less than asked`,
    });
  }
  return notes;
}
