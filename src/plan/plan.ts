// Spec -> Plan: the layers in order, each with its resolved options. Pure; everything that costs time to work
// out once per sweep (option resolution) is behind the resolver that the caller may share.

import { layerKinds } from "../block/layer_kinds.js";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { ModelSpec, Spec } from "../spec/spec.js";
import { declaredModel } from "./axes.js";
import { type Layout, layOut } from "./layout.js";
import type { Plan, PlanNote, PlannedLayer } from "./plan_types.js";
import { type BlockResolver, createBlockResolver, type ResolvedBlock } from "./resolve_blocks.js";

/**
 * Decides every layer of the spec's model.
 * @throws LayermixError LMX2xxx: exit 4 where the model cannot be built, exit 3 for a malformed pattern
 */
export function plan(spec: Spec): Plan {
  return planModel(declaredModel(spec), spec.name);
}

/** As `plan`, for a model on its own. */
export function planModel(
  model: ModelSpec,
  name: string,
  resolver: BlockResolver = createBlockResolver(),
): Plan {
  return assemblePlan(model, name, layOut(model.layout, layerKinds(model.blocks)), resolver);
}

const noOptions = {};

/** The plan of a model whose layers are laid out: the part of planning that depends on widths. */
export function assemblePlan(model: ModelSpec, name: string, layout: Layout, resolver: BlockResolver): Plan {
  const { pattern, counts } = layout;
  const context = { hidden: model.hidden, layers: pattern.length };
  const used = new Map<string, ResolvedBlock>();
  const notes: PlanNote[] = [...layout.notes];
  const kinds = layerKinds(model.blocks);
  for (const kind of kinds) {
    if ((counts[kind.name] ?? 0) === 0) continue;
    const resolved = resolver.resolve(kind, model.blocks[kind.name] ?? noOptions, context);
    refuseProblems(resolved);
    used.set(kind.symbol, resolved);
    for (const message of resolved.notes) notes.push({ code: "LMX2103", message });
  }
  const layers: PlannedLayer[] = [];
  for (let index = 0; index < pattern.length; index += 1) {
    layers.push(used.get(pattern.charAt(index))!.layerAt(index));
  }
  const mix = model.layout.kind === "mix" ? model.layout.mix : undefined;
  return {
    name,
    kinds: kinds.filter(({ name: kind }) => (counts[kind] ?? 0) > 0 || (mix?.[kind] ?? 0) > 0),
    pattern,
    layers,
    counts,
    hidden: model.hidden,
    vocab: model.vocab,
    tieEmbeddings: model.tieEmbeddings,
    normEps: model.norm.eps,
    ...(model.norm.kind === "layernorm" && { layerNorm: true }),
    ...(model.scaling === undefined ? {} : { scaling: model.scaling }),
    ...(model.metaTokens === undefined ? {} : { metaTokens: model.metaTokens }),
    ...(model.headBias === undefined ? {} : { headBias: model.headBias }),
    ...(mix === undefined ? {} : { mix }),
    notes,
  };
}

function refuseProblems({ problems }: ResolvedBlock): void {
  if (problems.length === 0) return;
  throw new LayermixError(
    problems.map((problem) => ({ code: "LMX2011", severity: "error", ...problem })),
    exitCodes.infeasible,
  );
}
