// Fields of --json as docs/json.md writes them, and as an output has them, in one form that can be compared.
//
//   name[]? = `{a, b: {c}}`   a list of elements with a and b.c; the field need not be there

export interface Field {
  /** May be missing. */
  readonly optional: boolean;
  /** What is documented to be inside; undefined where nothing is said. */
  readonly inside?: Fields;
}

export type Fields = ReadonlyMap<string, Field>;

/** Reads `a`, `b[]` = `{c, d?: {e}}` of a table cell, or the {...} of one field. */
export function parseFields(cell: string): Fields {
  const text = cell.replaceAll("`", "").replaceAll(" = ", ": ");
  let at = 0;
  const fields = list();
  if (at < text.length) throw new Error(`Expected the end of the fields at ${text.slice(at)}`);
  return fields;

  function list(): Fields {
    const found = new Map<string, Field>();
    while (at < text.length && text[at] !== "}") {
      const match = /^\s*([\w$]+)(?:\[\])?(\?)?\s*(:\s*\{)?/.exec(text.slice(at));
      if (match === null) throw new Error(`Expected a field at ${text.slice(at)}`);
      at += match[0].length;
      const optional = match[2] === "?";
      if (match[3] === undefined) found.set(match[1]!, { optional });
      else {
        found.set(match[1]!, { optional, inside: list() });
        if (text[at++] !== "}") throw new Error(`Expected } in ${text}`);
      }
      const comma = /^\s*,\s*/.exec(text.slice(at));
      if (comma !== null) at += comma[0].length;
      else if (at < text.length && text[at] !== "}") throw new Error(`Expected , at ${text.slice(at)}`);
    }
    return found;
  }
}

/** What is wrong with the page, given outputs of one command: fields it should have, fields that nobody documented. */
export function contradictions(documented: Fields, outputs: readonly unknown[], place = "data"): string[] {
  const objects = outputs.flat().filter((value) => value !== null) as Record<string, unknown>[];
  if (objects.length === 0) return [`${place}: no output shows it`];
  const problems: string[] = [];
  const seen = new Set(objects.flatMap((object) => Object.keys(object)));
  for (const name of seen) if (!documented.has(name)) problems.push(`${place}.${name} is not documented`);
  for (const [name, { optional, inside }] of documented) {
    const having = objects.filter((object) => name in object);
    if (!optional && having.length < objects.length) problems.push(`${place}.${name} is missing`);
    if (having.length === 0) {
      if (optional) problems.push(`${place}.${name} is in no output`);
      continue;
    }
    if (inside === undefined) continue;
    const values = having.map((object) => object[name]);
    problems.push(...contradictions(inside, values, `${place}.${name}`));
  }
  return problems;
}
