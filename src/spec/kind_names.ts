// Names of layer kinds in a study file: the built-in ones, those that the file declares under model.blocks, names that
// other tools use for them, and kinds that layermix knows of but cannot plan.

import { type KindOptions, type LayerKind, layerKinds } from "../block/layer_kinds.js";
import { blockByKind, blocks } from "../block/registry.js";
import { nearestName, similarName } from "../diag/suggest.js";
import type { Section } from "./checker.js";
import { listNames } from "./describe.js";
import type { SchemaProblem } from "./schema_problems.js";

/** What other tools call the kinds. */
const otherNames: Readonly<Record<string, string>> = {
  mamba: "mamba1",
  ssm: "mamba2",
  ssd: "mamba2",
  gdn: "gated_deltanet",
  deltanet: "gated_deltanet",
  linear_attention: "gated_deltanet",
  swa: "sliding_attention",
  local_attention: "sliding_attention",
  full_attention: "attention",
  mha: "attention",
  gqa: "attention",
  ffn: "mlp",
  feed_forward: "mlp",
  experts: "moe",
  griffin: "rg_lru",
  lru: "rg_lru",
  conv: "short_conv",
  lightning_attention: "lightning",
  kimi_delta_attention: "kda",
};

/** Kinds that are known by name, and not built. */
const plannedKinds: Readonly<Record<string, string>> = {
  cross_attention: "cross attention",
  dsa: "DeepSeek sparse attention",
};

function asSection(value: unknown): Section | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Section)
    : undefined;
}

/** The kinds of a file whose model.blocks is `options`; entries that are malformed are left out. */
export function declaredKinds(options: unknown): readonly LayerKind[] {
  const sound = Object.entries(asSection(options) ?? {}).filter(([, raw]) => asSection(raw) !== undefined);
  return layerKinds(Object.fromEntries(sound) as KindOptions);
}

const names: readonly string[] = blocks.map(({ kind }) => kind);

function unknownKind(place: readonly string[], name: string, known: readonly string[]): SchemaProblem {
  const path = [...place, name];
  const planned = Object.hasOwn(plannedKinds, name) ? plannedKinds[name] : undefined;
  if (planned !== undefined) {
    const message = `Layers of kind ${name} (${planned}) are not supported yet`;
    return {
      path,
      what: "key",
      code: "LMX1207",
      message,
      help: [`the kinds are ${listNames(known, "and")}`],
    };
  }
  const other = Object.hasOwn(otherNames, name) ? otherNames[name] : undefined;
  const nearest = other ?? nearestName(name, known);
  const help =
    other === undefined
      ? (similarName("kind", name, known) ?? `the kinds are ${listNames(known, "and")}`)
      : `this kind is called ${other}`;
  return {
    path,
    what: "key",
    code: "LMX1207",
    message: `Unknown layer kind ${name} at ${place.join(".")}`,
    help:
      place.at(-1) === "blocks"
        ? [help, "a kind of your own has kind and symbol beside its options"]
        : [help],
    ...(nearest === undefined ? {} : { meant: [...place, nearest] }),
  };
}

/** Names in model.mix and model.blocks (and proxy.model.blocks) that are no kinds. */
export function unknownKinds(root: unknown): readonly SchemaProblem[] {
  const model = asSection(asSection(root)?.model);
  const proxyModel = asSection(asSection(asSection(root)?.proxy)?.model);
  const declared = (options: unknown) =>
    Object.entries(asSection(options) ?? {}).filter(
      ([name, raw]) => blockByKind(name) === undefined && asSection(raw)?.kind !== undefined,
    );
  const own = declared(model?.blocks).map(([name]) => name);
  const known = [...names, ...own];
  const check = (place: readonly string[], section: unknown) =>
    Object.keys(asSection(section) ?? {})
      .filter((name) => !known.includes(name))
      .map((name) => unknownKind(place, name, known));
  return [
    ...check(["model", "mix"], model?.mix),
    ...check(["model", "blocks"], model?.blocks),
    ...check(["proxy", "model", "blocks"], proxyModel?.blocks),
  ];
}
