// Shares to whole layers. One kind, the base, takes what the others leave: Mamba-2 where the mix has it (or has only
// mamba2, attention and mlp: the counts that Megatron's algorithm aims at), else the first recurrent kind, else the
// first kind. Every other kind gets round-half-even(layers * share). Where halves round up past the depth there are
// too few layers; the kinds that come last in the registry give way.

import { builtInKinds, type LayerKind } from "../block/layer_kinds.js";
import type { Mix } from "../spec/spec.js";
import { roundHalfEven } from "./pattern_from_ratios.js";
import { infeasible } from "./plan_error.js";
import type { PlanNote } from "./plan_types.js";
import { percent } from "./words.js";

/** Layers by the name of the kind; they total the depth. */
export type LayerCounts = Readonly<Record<string, number>>;

/** The kinds of Megatron's algorithm; what is said of shares lists them also where a mix leaves one out. */
const classicKinds = ["mamba2", "attention", "mlp"];

/**
 * Fractions that miss a total of 1 by less than this are taken as 100% (33.3% + 66.7%, and the last bit of
 * doubles).
 */
const totalTolerance = 1e-6;

/**
 * Refuses kinds that there are not and shares that do not total 100%.
 * @throws LayermixError LMX2008, LMX2012
 */
export function checkMix(mix: Mix, kinds: readonly LayerKind[] = builtInKinds): void {
  for (const name of Object.keys(mix)) {
    if (!kinds.some((kind) => kind.name === name)) {
      throw infeasible(
        "LMX2008",
        `Expected shares of layer kinds, got a share of ${name}`,
        [`kinds are ${kinds.map((kind) => kind.name).join(", ")}; model.blocks can name further ones`],
        `model.mix.${name}`,
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

/** Only mamba2, attention and mlp: what Megatron's algorithm is defined for. */
export function isClassic(mix: Mix): boolean {
  return Object.entries(mix).every(([kind, share]) => share === 0 || classicKinds.includes(kind));
}

/** The attention and MLP ratios as Megatron takes them; a total above 1 by rounding is put back to 1. */
export function ratiosOf(mix: Mix): { attention: number; mlp: number } {
  const attention = mix.attention ?? 0;
  const mlp = mix.mlp ?? 0;
  return { attention, mlp: attention + mlp > 1 ? 1 - attention : mlp };
}

/** The kind that takes what the others leave. */
function baseOf(mix: Mix, present: readonly LayerKind[]): string {
  if (isClassic(mix)) return "mamba2";
  const recurrent = present.find(({ block }) => block.role === "recurrent");
  return (recurrent ?? present[0])?.name ?? "mamba2";
}

/** Kinds with a share, in the order of `kinds`. */
function presentKinds(mix: Mix, kinds: readonly LayerKind[]): readonly LayerKind[] {
  return kinds.filter(({ name }) => (mix[name] ?? 0) > 0);
}

/** What each kind but the base gets by rounding alone; `left` is the base's. */
function rounded(layers: number, mix: Mix, kinds: readonly LayerKind[]) {
  const present = presentKinds(mix, kinds);
  const base = baseOf(mix, present);
  const shares: Mix = isClassic(mix) ? { ...mix, ...ratiosOf(mix) } : mix;
  const wanted = present
    .filter(({ name }) => name !== base)
    .map(({ name }) => ({ name, count: roundHalfEven(layers * (shares[name] ?? 0)) }));
  const left = layers - wanted.reduce((sum, { count }) => sum + count, 0);
  return { base, wanted, left };
}

/** Whole layers for shares that have passed checkMix. */
export function allocate(layers: number, mix: Mix, kinds: readonly LayerKind[] = builtInKinds): LayerCounts {
  const { base, wanted, left } = rounded(layers, mix, kinds);
  const counts: Record<string, number> = Object.fromEntries(classicKinds.map((kind) => [kind, 0]));
  counts[base] = Math.max(0, left);
  let missing = Math.max(0, -left);
  for (const { name, count } of wanted.toReversed()) {
    const given = Math.max(0, count - missing);
    missing -= count - given;
    counts[name] = given;
  }
  return counts;
}

/**
 * Notes on what rounding did: shares that came out differently, or without a single layer, or one layer
 * short.
 */
export function allocationNotes(
  layers: number,
  mix: Mix,
  got: LayerCounts,
  kinds: readonly LayerKind[] = builtInKinds,
): PlanNote[] {
  const notes: PlanNote[] = [];
  const changed: string[] = [];
  for (const { name } of kinds) {
    const asked = mix[name] ?? 0;
    const count = got[name] ?? 0;
    if (asked > 0 && count === 0) {
      notes.push({
        code: "LMX2107",
        message: `${name}: ${percent(asked)} of ${layers} layers is less than half a layer, so there is none`,
      });
    } else if (Math.abs(count / layers - asked) >= 0.0005) {
      changed.push(`${name} ${percent(asked)} is ${count} of ${layers} = ${percent(count / layers)}`);
    }
  }
  if (changed.length > 0) notes.push({ code: "LMX2101", message: `whole layers: ${changed.join(", ")}` });
  const { wanted, left } = rounded(layers, mix, kinds);
  if (left < 0) {
    const names = wanted.map(({ name }) => name);
    const list = `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
    const who = names.length === 2 ? `${list} both` : list;
    notes.push({
      code: "LMX2102",
      message: `${who} round up to ${layers - left} layers of ${layers}; ${names.at(-1)} has ${-left === 1 ? "one layer" : `${-left} layers`} less than asked`,
    });
  }
  return notes;
}
