// The paths below `model` that a sweep may vary, read from the JSON Schema: every value that is not a mapping of other
// values, in the order of the schema ("layers", "mix.attention", "blocks.mamba2.state").

import { readStudySchema } from "./study_schema.js";

interface SchemaNode {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly $defs?: Readonly<Record<string, SchemaNode>>;
}

let paths: readonly string[] | undefined;

/** All of them; read once. */
export function modelPaths(): readonly string[] {
  paths ??= collect(readStudySchema() as SchemaNode);
  return paths;
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
