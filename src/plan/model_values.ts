// Setting one place of a model by its path in the study file ("mix.attention", "hidden",
// "blocks.mamba2.state"): what the axes of a sweep and the overrides of a proxy do. Returns a changed copy;
// the values are those of the file, percentages already fractions.

import { layerKinds } from "../block/layer_kinds.js";
import type { LayoutSource, Mix, ModelSpec, Placement } from "../spec/spec.js";
import { parsePattern } from "./parse_pattern.js";
import { infeasible } from "./plan_error.js";

type Values = Readonly<Record<string, unknown>>;

function reject(path: string, expected: string, value: unknown): never {
  throw infeasible("LMX2013", `Expected ${expected} at model.${path}, got ${JSON.stringify(value)}`, [
    "see `layermix explain LMX2013` for the places that can be set",
  ]);
}

function count(path: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  return reject(path, "a whole number above 0", value);
}

function fraction(path: string, value: unknown): number {
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  return reject(path, "a share between 0% and 100%", value);
}

function object(path: string, value: unknown): Values {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Values;
  return reject(path, "a mapping", value);
}

/** A placement as written ("even", { every: 8 }, { at: [12, 24] }) or already in its parsed form. */
export function toPlacement(value: unknown): Placement {
  if (typeof value === "string") {
    if (value === "even" || value === "alternate" || value === "halves") return { kind: value };
    return reject("placement", "even, alternate, halves, every: N or at: [...]", value);
  }
  const { kind, every, at } = object("placement", value);
  if (typeof kind === "string" && every === undefined && at === undefined) return toPlacement(kind);
  if (every !== undefined) return { kind: "every", every: count("placement.every", every) };
  if (Array.isArray(at)) return { kind: "at", at: at as readonly number[] };
  return reject("placement", "even, alternate, halves, every: N or at: [...]", value);
}

type MixLayout = Extract<LayoutSource, { kind: "mix" }>;

/** The layout as a mix, for changing its share, depth or placement. */
function mixLayout(model: ModelSpec, path: string): MixLayout {
  if (model.layout.kind === "mix") return model.layout;
  throw infeasible(
    "LMX2013",
    `Expected a mix where model.${path} is set, got the pattern ${model.layout.pattern}`,
    ["give model.mix and model.layers instead of model.pattern"],
  );
}

function withMix(model: ModelSpec, mix: Mix): ModelSpec {
  const layout: MixLayout =
    model.layout.kind === "mix"
      ? { ...model.layout, mix }
      : {
          kind: "mix",
          mix,
          layers: parsePattern(model.layout.pattern, layerKinds(model.blocks)).layers,
          placement: { kind: "even" },
        };
  return { ...model, layout };
}

function withBlock(model: ModelSpec, kind: string, options: Values): ModelSpec {
  if (!layerKinds(model.blocks).some(({ name }) => name === kind))
    reject(`blocks.${kind}`, "a layer kind", options);
  return { ...model, blocks: { ...model.blocks, [kind]: { ...model.blocks[kind], ...options } } };
}

/**
 * A copy of `model` with the value at `path` (below `model`, dots between keys) replaced.
 * @throws LayermixError LMX2013 when there is no such place or the value does not fit it
 */
export function setModelValue(model: ModelSpec, path: string, value: unknown): ModelSpec {
  const [first, second, third, fourth, ...rest] = path.split(".");
  if (rest.length > 0) reject(path, "a place of the model", value);
  switch (first) {
    case "layers":
      return { ...model, layout: { ...mixLayout(model, path), layers: count(path, value) } };
    case "placement":
      return { ...model, layout: { ...mixLayout(model, path), placement: toPlacement(value) } };
    case "pattern":
      if (typeof value !== "string") reject(path, "a layer pattern", value);
      return { ...model, layout: { kind: "pattern", pattern: value as string } };
    case "mix":
      if (second === undefined) return withMix(model, object(path, value) as Mix);
      return withMix(model, { ...mixLayout(model, path).mix, [second]: fraction(path, value) });
    case "hidden":
    case "vocab":
      return { ...model, [first]: count(path, value) };
    case "tie_embeddings":
      if (typeof value !== "boolean") reject(path, "true or false", value);
      return { ...model, tieEmbeddings: value as boolean };
    case "norm": {
      const given = second === undefined ? object(path, value) : { [second]: value };
      const { kind, eps } = { ...model.norm, ...given };
      if (typeof eps !== "number" || !(eps > 0)) reject("norm.eps", "a number above 0", eps);
      if (kind !== "rmsnorm" && kind !== "layernorm") reject("norm.kind", "rmsnorm or layernorm", kind);
      return { ...model, norm: { kind, eps } as ModelSpec["norm"] };
    }
    case "blocks":
      if (second === undefined) {
        return Object.entries(object(path, value)).reduce(
          (changed, [kind, options]) => withBlock(changed, kind, object(`blocks.${kind}`, options)),
          model,
        );
      }
      if (third === undefined) return withBlock(model, second, object(path, value));
      if (fourth === undefined) return withBlock(model, second, { [third]: value });
      return withBlock(model, second, {
        [third]: { ...(model.blocks[second]?.[third] as Values | undefined), [fourth]: value },
      });
    default:
      return reject(path, "a place of the model", value);
  }
}
