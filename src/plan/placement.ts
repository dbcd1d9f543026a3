// Where the layers go, once it is decided how many of each kind there are. Five placements, each a pure
// function:
//
//   even       Megatron's algorithm, exactly (pattern_from_ratios.ts).
//   alternate  Mamba-2 and attention mixers take turns (M * M * ...), each followed by its share of MLPs.
//   halves     all Mamba-2 mixers first, then all attention mixers, each followed by its share of MLPs.
//   every: N   layers N, 2N, 3N ... (counted from 1) are attention; MLPs go between as in `even`.
//   at: [...]  the listed layers (counted from 0) are attention; MLPs go between as in `even`.
//
// They place roles: recurrent kinds (written M here), attending kinds (*) and feed-forward kinds (-). Where a role has
// several kinds, its places are dealt out evenly among them (dealOut), each kind in the middle of its share.
//
// "Its share": after i of n mixers there are floor(i * mlps / n) MLPs, so that with as many MLPs as mixers
// every mixer is followed by one, as in a Transformer block. Sources: halves and alternate as in MaskMamba
// (arXiv 2409.19937), `at` as the hybrids of arXiv 2407.05489.

import type { LayerRole } from "../block/block.js";
import { builtInKinds, type LayerKind } from "../block/layer_kinds.js";
import type { Mix, Placement } from "../spec/spec.js";
import { allocate, isClassic, type LayerCounts, ratiosOf } from "./allocation.js";
import { patternFromRatios, placeMlps } from "./pattern_from_ratios.js";
import { infeasible } from "./plan_error.js";
import { percent } from "./words.js";

/**
 * The layer pattern for shares that have passed checkMix.
 * @throws LayermixError LMX2010 when the shares cannot be placed this way, with shares or placements that can
 */
export function placeLayers(
  layers: number,
  mix: Mix,
  placement: Placement,
  kinds: readonly LayerKind[] = builtInKinds,
): string {
  const counts = allocate(layers, mix, kinds);
  const roles = placeRoles(layers, mix, placement, roleCounts(counts, kinds));
  return isClassic(mix) ? roles : dealOut(roles, counts, kinds);
}

const roleSymbols: Readonly<Record<LayerRole, string>> = {
  recurrent: "M",
  attention: "*",
  feed_forward: "-",
};

interface RoleCounts {
  readonly mamba2: number;
  readonly attention: number;
  readonly mlp: number;
}

function roleCounts(counts: LayerCounts, kinds: readonly LayerKind[]): RoleCounts {
  const of = (role: LayerRole) =>
    kinds.filter(({ block }) => block.role === role).reduce((sum, { name }) => sum + (counts[name] ?? 0), 0);
  return { mamba2: of("recurrent"), attention: of("attention"), mlp: of("feed_forward") };
}

/**
 * The symbols of the kinds in the places of their roles: the i-th of n layers of a kind stands at (i + 1/2) / n of the
 * role's places, ties going to the kind that is listed first.
 */
function dealOut(roles: string, counts: LayerCounts, kinds: readonly LayerKind[]): string {
  const symbols = new Map<string, string[]>();
  for (const role of Object.keys(roleSymbols) as LayerRole[]) {
    const dealt = kinds
      .filter(({ block }) => block.role === role)
      .flatMap(({ name, symbol }) => {
        const count = counts[name] ?? 0;
        return Array.from({ length: count }, (_, i) => ({ symbol, at: (i + 0.5) / count }));
      });
    symbols.set(
      roleSymbols[role],
      dealt.sort((a, b) => a.at - b.at).map(({ symbol }) => symbol),
    );
  }
  return [...roles].map((role) => symbols.get(role)!.shift()!).join("");
}

function placeRoles(layers: number, mix: Mix, placement: Placement, counts: RoleCounts): string {
  switch (placement.kind) {
    case "even": {
      // The ratios as asked where they are Megatron's own, so that its pattern comes out even where it misses them.
      const { attention, mlp } = isClassic(mix)
        ? ratiosOf(mix)
        : ratiosOf({ attention: counts.attention / layers, mlp: counts.mlp / layers });
      return patternFromRatios(layers, attention, mlp);
    }
    case "alternate":
      return withMlps(alternating(counts, layers), counts.mlp);
    case "halves":
      return withMlps("M".repeat(counts.mamba2) + "*".repeat(counts.attention), counts.mlp);
    case "every":
      return atIndices(everyNth(layers, placement.every), counts, layers, `every: ${placement.every}`);
    case "at":
      return atIndices(placement.at, counts, layers, `at with ${placement.at.length} layers`);
  }
}

/** Zero-based indices of every n-th layer: n - 1, 2n - 1, ... */
function everyNth(layers: number, n: number): number[] {
  return Array.from({ length: Math.floor(layers / n) }, (_, i) => (i + 1) * n - 1);
}

function alternating({ mamba2, attention, mlp }: RoleCounts, layers: number): string {
  if (Math.abs(mamba2 - attention) > 1) {
    const fair = percent((layers - mlp) / 2 / layers);
    throw infeasible(
      "LMX2010",
      `Expected as many attention as Mamba-2 layers for placement alternate (one more at most), got ${attention} and ${mamba2}`,
      [
        `with ${mlp} of ${layers} layers MLP, ask for ${fair} of each`,
        "or use placement even, which spreads any share",
      ],
      "model.placement",
    );
  }
  const [first, second] = mamba2 >= attention ? ["M", "*"] : ["*", "M"];
  return Array.from({ length: mamba2 + attention }, (_, i) => (i % 2 === 0 ? first : second)).join("");
}

function withMlps(mixers: string, mlps: number): string {
  if (mixers.length === 0) return "-".repeat(mlps);
  const before = (i: number) => Math.floor((i * mlps) / mixers.length);
  return [...mixers].map((mixer, i) => mixer + "-".repeat(before(i + 1) - before(i))).join("");
}

function atIndices(indices: readonly number[], counts: RoleCounts, layers: number, what: string): string {
  const outside = indices.find((index) => !Number.isInteger(index) || index < 0 || index >= layers);
  if (outside !== undefined) {
    throw infeasible(
      "LMX2010",
      `Expected placement.at between 0 and ${layers - 1} in a model of ${layers} layers, got ${outside}`,
      ["layers count from 0; give the layers of this depth (proxy.model may have a placement of its own)"],
      "model.placement.at",
    );
  }
  const chosen = new Set(indices);
  if (chosen.size !== counts.attention) {
    throw infeasible(
      "LMX2010",
      `Expected ${counts.attention} attention layer${counts.attention === 1 ? "" : "s"} of ${layers} from the mix, got ${chosen.size} from placement ${what}`,
      placementHelp(chosen.size, counts.attention, layers),
      "model.placement",
    );
  }
  const types = Array.from({ length: layers }, (_, i) => (chosen.has(i) ? "*" : "M"));
  placeMlps(types, layers - counts.attention, counts.mlp);
  return types.join("");
}

function placementHelp(placed: number, asked: number, layers: number): string[] {
  const help = [`set the attention share to ${percent(placed / layers)} (${placed} of ${layers} layers)`];
  const n = asked === 0 ? 0 : Math.floor(layers / asked);
  if (n > 0 && Math.floor(layers / n) === asked) help.push(`or use placement every: ${n}`);
  else help.push("or use placement even, which spreads any share");
  return help;
}
