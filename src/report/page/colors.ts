// Colours, in one place so that their contrast can be tested. Candidates lie on a ramp of growing lightness (magma, van der
// Walt and Smith 2015: ordered for every kind of colour vision, and in grey print), layer kinds on three hues that the
// common deficiencies keep apart (Okabe and Ito 2008). Neither is ever the only sign: lines have names, layers letters.

import { blocks } from "../../block/registry.js";

export interface Theme {
  readonly paper: string;
  readonly raised: string;
  readonly ink: string;
  readonly soft: string;
  readonly line: string;
  readonly accent: string;
  readonly bad: string;
  /** Anchors of the candidates' ramp. */
  readonly ramp: readonly string[];
  readonly kinds: Readonly<Record<string, string>>;
  /** Of kinds that have no colour of their own. */
  readonly otherKinds: readonly string[];
}

export const themes: Readonly<Record<"light" | "dark", Theme>> = {
  light: {
    paper: "#fbfaf7",
    raised: "#ffffff",
    ink: "#1d1c1a",
    soft: "#615e58",
    line: "#dedad2",
    accent: "#7a2a6b",
    bad: "#a3231b",
    ramp: ["#241152", "#51127c", "#832681", "#b73779", "#e04f5f"],
    kinds: {
      ...{
        mamba2: "#2a78b5",
        mamba1: "#4a89be",
        gated_deltanet: "#0b8a66",
        kda: "#3d9f7f",
        rg_lru: "#3c8fa6",
      },
      ...{ short_conv: "#6d7fc0", lightning: "#7a63b8", attention: "#d0560a", sliding_attention: "#b57a10" },
      ...{
        mla: "#b8405e",
        parallel: "#9a5b2e",
        shared_transformer: "#a8558a",
        mlp: "#8f8a80",
        moe: "#6f7a52",
      },
    },
    otherKinds: ["#8a7400", "#3c9ab0", "#a8558a", "#0b8a66"],
  },
  dark: {
    paper: "#16171a",
    raised: "#1e2024",
    ink: "#eceae5",
    soft: "#a9a69e",
    line: "#34363c",
    accent: "#e69ad6",
    bad: "#ff8a80",
    ramp: ["#a65bb0", "#d8548a", "#f1705d", "#fd9f6c", "#fde0a0"],
    kinds: {
      ...{
        mamba2: "#5aa9e6",
        mamba1: "#8cc4f0",
        gated_deltanet: "#35c394",
        kda: "#6ad0ae",
        rg_lru: "#5fbdd3",
      },
      ...{ short_conv: "#9aa8e8", lightning: "#ab97e6", attention: "#f2853a", sliding_attention: "#e6b34d" },
      ...{
        mla: "#ee7f98",
        parallel: "#cf9468",
        shared_transformer: "#d98cc0",
        mlp: "#8b8d94",
        moe: "#a8b486",
      },
    },
    otherKinds: ["#d6bc3a", "#6fc7dc", "#d98cc0", "#35c394"],
  },
};

/** The colour at a share of the ramp. */
export function rampColor(ramp: readonly string[], share: number): string {
  const place = Math.min(1, Math.max(0, share)) * (ramp.length - 1);
  const low = Math.min(Math.floor(place), ramp.length - 2);
  const channels = (color: string) => [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16));
  const [a, b] = [channels(ramp[low]!), channels(ramp[low + 1]!)];
  const mixed = a.map((value, i) => Math.round(value + (place - low) * (b[i]! - value)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** The class of a layer kind's colour. */
export function kindClass(kind: string): string {
  return `k-${kind.replaceAll(/[^a-z0-9]/gi, "")}`;
}

/** Colours of one theme as CSS variables and of its candidates (places on the ramp, in [0, 1]). */
function themeRules(theme: Theme, places: readonly number[]): string {
  const variables = ["paper", "raised", "ink", "soft", "line", "accent", "bad"] as const;
  const others = blocks.map(({ kind }) => kind).filter((kind) => !Object.hasOwn(theme.kinds, kind));
  const kinds = [
    ...Object.entries(theme.kinds),
    ...others.map((kind, i) => [kind, theme.otherKinds[i % theme.otherKinds.length]!] as const),
  ];
  return [
    ...variables.map((name) => `--${name}:${theme[name]}`),
    ...kinds.map(([kind, color]) => `--${kindClass(kind)}:${color}`),
    ...places.map((place, i) => `--c${i}:${rampColor(theme.ramp, place)}`),
  ].join(";");
}

/** The colour rules of a page: light, dark where the system or the reader says so, light in print. */
export function colorRules(places: readonly number[]): string {
  const [light, dark] = [themeRules(themes.light, places), themeRules(themes.dark, places)];
  const kinds = new Set([...Object.keys(themes.light.kinds), ...blocks.map(({ kind }) => kind)]);
  return [
    `:root{color-scheme:light;${light}}`,
    `@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light]){color-scheme:dark;${dark}}}`,
    `@media screen{:root[data-theme=dark]{color-scheme:dark;${dark}}}`,
    ...places.map((_, i) => `.c${i}{color:var(--c${i})}`),
    ...[...kinds].map((kind) => `.${kindClass(kind)}{color:var(--${kindClass(kind)})}`),
  ].join("\n");
}
