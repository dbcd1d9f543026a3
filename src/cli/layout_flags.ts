// The flags of `layermix pattern`: a mix and a placement on one line, in the words of the study file.

import { blockByKind, blocks } from "../block/registry.js";
import type { LayermixError } from "../diag/diagnostic.js";
import { similarName } from "../diag/suggest.js";
import { parseShare } from "../spec/quantity.js";
import type { Mix, Placement } from "../spec/spec.js";
import { usageError } from "./failure.js";

function refuse(flag: string, expected: string, got: string, help: string): LayermixError {
  return usageError("LMX6005", `Expected --${flag} to be ${expected}, got ${JSON.stringify(got)}`, [help]);
}

/**
 * "mamba2=43%,attention=7%,mlp=50%" -> shares. One kind may be left out or written without a share; it takes
 * what is left (Mamba-2 when none is named).
 * @throws LayermixError LMX6005, exit 2
 */
export function parseMixFlag(text: string): Mix {
  const example = "for example --mix mamba2=43%,attention=7%,mlp=50%";
  const mix: Record<string, number> = {};
  let open: string | undefined;
  for (const part of text.split(",")) {
    const [, kind = "", share] = /^\s*([A-Za-z0-9_]+)\s*(?:=\s*(\S+(?: %)?))?\s*$/.exec(part) ?? [];
    if (blockByKind(kind) === undefined) {
      const kinds = blocks.map((block) => block.kind);
      throw refuse("mix", "shares by kind", part, similarName("kind", kind, kinds) ?? example);
    }
    if (kind in mix || kind === open)
      throw refuse("mix", "every kind once", text, `remove one of the ${kind}`);
    if (share === undefined) {
      if (open !== undefined) throw refuse("mix", "one kind without a share at most", text, example);
      open = kind;
      continue;
    }
    if (
      !/^(\d{1,3}(\.\d{1,12})? ?%|[01](\.\d{1,15})?|\.\d{1,15})$/.test(share) ||
      parseShareText(share) > 1
    ) {
      throw refuse("mix", "shares from 0% to 100%", part, example);
    }
    mix[kind] = parseShareText(share);
  }
  return withRest(mix, open, text);
}

function parseShareText(share: string): number {
  return share.endsWith("%") ? parseShare(share) : Number(share);
}

function withRest(mix: Record<string, number>, open: string | undefined, text: string): Mix {
  const total = Object.values(mix).reduce((sum, share) => sum + share, 0);
  const left = Math.round((1 - total) * 1e12) / 1e12;
  const rest = open ?? (left > 0 && !("mamba2" in mix) ? "mamba2" : undefined);
  if (left < 0 || (left > 0 && rest === undefined)) {
    const percent = Number((total * 100).toFixed(6));
    throw refuse(
      "mix",
      "shares that total 100%",
      text,
      `they total ${percent}%; one kind without a share takes the rest`,
    );
  }
  return rest === undefined ? mix : { ...mix, [rest]: left };
}

/** "even", "alternate", "halves", "every:8" or "at:12,24". @throws LayermixError LMX6005, exit 2 */
export function parsePlacementFlag(text: string): Placement {
  if (text === "even" || text === "alternate" || text === "halves") return { kind: text };
  const every = /^every[:=]([1-9]\d{0,4})$/.exec(text);
  if (every !== null) return { kind: "every", every: Number(every[1]) };
  const at = /^at[:=](\d{1,5}(?:,\d{1,5})*)$/.exec(text);
  if (at !== null) return { kind: "at", at: at[1]!.split(",").map(Number) };
  throw refuse(
    "placement",
    "even, alternate, halves, every:N or at:I,J,...",
    text,
    "for example --placement every:8",
  );
}
