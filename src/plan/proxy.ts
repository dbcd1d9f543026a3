// The proxy of a candidate: the same mix and placement at the depth, width and vocabulary of proxy.model.
// Blocks follow the width (Block.rescale) unless the override decides their shape itself. Where the sweep
// matches sizes, proxies are matched too: they are what is trained and compared, and their target is the
// declared model's proxy.

import { countLayers, layerKinds } from "../block/layer_kinds.js";
import type { ModelSpec, Spec } from "../spec/spec.js";
import { declaredModel, pointModel } from "./axes.js";
import { type MetricOf, matchSize } from "./match.js";
import { setModelValue } from "./model_values.js";
import { parsePattern } from "./parse_pattern.js";
import { planModel } from "./plan.js";
import { infeasible } from "./plan_error.js";
import type { Candidate, Plan, PlanNote } from "./plan_types.js";
import { createBlockResolver } from "./resolve_blocks.js";

type Values = Readonly<Record<string, unknown>>;

/**
 * The plan that stands for `candidate` in short runs; the candidate's own plan without a proxy section.
 * @throws LayermixError LMX2xxx when the overrides cannot be built
 */
export function planProxy(spec: Spec, candidate: Candidate, metric: MetricOf): Plan {
  if (spec.proxy === undefined) return candidate.plan;
  const { sweep } = spec;
  const own = sweep === undefined ? spec.model : pointModel(spec.model, sweep, candidate.values);
  const { model, notes } = proxyModel(own, spec.proxy.model);
  const resolver = createBlockResolver();
  if (sweep?.match === undefined) return withNotes(planModel(model, candidate.name, resolver), notes);
  const reference = planModel(proxyModel(declaredModel(spec), spec.proxy.model).model, spec.name, resolver);
  const target = { ...sweep.match, value: metric(reference, sweep.match.on) };
  return withNotes(matchSize(model, candidate.name, target, metric, resolver), notes);
}

function withNotes(plan: Plan, notes: readonly PlanNote[]): Plan {
  return notes.length === 0 ? plan : { ...plan, notes: [...plan.notes, ...notes] };
}

/** `model` with the overrides of proxy.model applied; notes say what had to be decided anew. */
export function proxyModel(
  model: ModelSpec,
  overrides: Values,
): { model: ModelSpec; notes: readonly PlanNote[] } {
  const { pattern, mix, layers, placement, hidden, blocks: blockOverrides, ...others } = overrides;
  const notes: PlanNote[] = [];
  let changed = model;
  const set = (path: string, value: unknown) => {
    if (value !== undefined) changed = setModelValue(changed, path, value);
  };
  set("pattern", pattern);
  set("mix", mix);
  if (layers !== undefined && changed.layout.kind === "pattern") {
    const replanned = replan(changed, layers as number);
    changed = replanned.model;
    notes.push(...replanned.notes);
  } else set("layers", layers);
  set("placement", placement);
  changed = resize(changed, hidden, (blockOverrides ?? {}) as Readonly<Record<string, Values>>);
  for (const [path, value] of Object.entries(others)) set(path, value);
  return { model: changed, notes };
}

/**
 * A pattern at another depth: possible where each kind keeps its share in whole layers; then placed evenly.
 */
function replan(model: ModelSpec, layers: number): { model: ModelSpec; notes: readonly PlanNote[] } {
  if (model.layout.kind !== "pattern") return { model, notes: [] };
  const kinds = layerKinds(model.blocks);
  const parsed = parsePattern(model.layout.pattern, kinds);
  if (layers === parsed.layers) return { model, notes: [] };
  const counts = countLayers((parsed.main ?? "").replaceAll("|", ""), kinds);
  const unit = Object.values(counts).reduce(greatestCommonDivisor, 0);
  const smallest = parsed.layers / unit;
  if (!(layers > 0) || layers % smallest !== 0) {
    throw infeasible(
      "LMX2015",
      `Expected a proxy depth that keeps the shares of the ${parsed.layers}-layer pattern, got ${layers} layers`,
      [
        smallest === parsed.layers
          ? "give proxy.model.pattern (no smaller depth keeps these shares)"
          : `use a multiple of ${smallest} layers, or give proxy.model.pattern`,
      ],
      "proxy.model.layers",
    );
  }
  const mix = Object.fromEntries(
    Object.entries(counts).map(([kind, count]) => [kind, count / parsed.layers]),
  );
  const message = `the pattern of ${parsed.layers} layers is placed anew, evenly, over ${layers} layers`;
  return {
    model: { ...model, layout: { kind: "mix", mix, layers, placement: { kind: "even" } } },
    notes: [{ code: "LMX2108", message }],
  };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Another hidden width: blocks are rescaled, except the shape of those whose shape the overrides decide. */
function resize(model: ModelSpec, hidden: unknown, overrides: Readonly<Record<string, Values>>): ModelSpec {
  const kinds = layerKinds(model.blocks);
  const unknown = Object.keys(overrides).find((name) => !kinds.some((kind) => kind.name === name));
  if (unknown !== undefined) return setModelValue(model, `blocks.${unknown}`, overrides[unknown]); // throws LMX2013
  const to = hidden === undefined ? model : setModelValue(model, "hidden", hidden);
  const layers =
    model.layout.kind === "mix" ? model.layout.layers : parsePattern(model.layout.pattern, kinds).layers;
  const options = kinds.map(({ name, block }) => {
    const raw = model.blocks[name] ?? {};
    const override = overrides[name] ?? {};
    const decided = block.widthOptions.some((option) => option in override);
    const base = decided
      ? Object.fromEntries(Object.entries(raw).filter(([option]) => !block.widthOptions.includes(option)))
      : to.hidden === model.hidden
        ? raw
        : block.rescale(raw, { hidden: model.hidden, layers }, { hidden: to.hidden, layers });
    return [name, { ...base, ...override }] as const;
  });
  return { ...to, blocks: Object.fromEntries(options) };
}
