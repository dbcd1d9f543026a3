// The paths below `model` that a sweep may vary, read from the JSON Schema: every value that is not a mapping of other
// values, in the order of the schema ("layers", "mix.attention", "blocks.mamba2.state"); then those of the kinds that the
// file names itself.

import { builtInKinds, type LayerKind } from "../block/layer_kinds.js";
import { readStudySchema } from "./study_schema.js";

interface SchemaNode {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly $defs?: Readonly<Record<string, SchemaNode>>;
}

let paths: readonly string[] | undefined;

/** All of them, for a model with these kinds. The schema is read once. */
export function modelPaths(kinds: readonly LayerKind[] = builtInKinds): readonly string[] {
  paths ??= collect(readStudySchema() as SchemaNode);
  const known = paths;
  const named = kinds.filter(({ name, block }) => name !== block.kind);
  return [
    ...known,
    ...named.flatMap(({ name, block }) => {
      const own = `blocks.${block.kind}.`;
      const options = known.filter((path) => path.startsWith(own));
      return [`mix.${name}`, ...options.map((path) => `blocks.${name}.${path.slice(own.length)}`)];
    }),
  ];
}

function collect(root: SchemaNode): string[] {
  const found: string[] = [];
  const visit = (node: SchemaNode, path: string): void => {
    const target = node.$ref === undefined ? node : root.$defs![node.$ref.replace("#/$defs/", "")]!;
    if (target.properties === undefined || target.type !== "object") {
      found.push(path);
      return;
    }
    for (const [key, child] of Object.entries(target.properties))
      visit(child, path === "" ? key : `${path}.${key}`);
  };
  visit(root.$defs!.model!, "");
  return found;
}
