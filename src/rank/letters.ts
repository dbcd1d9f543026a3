// Compact letter display: candidates that share a letter are tied. Ties are not transitive (a ~ b, b ~ c, but a beats c
// gives a: "a", b: "ab", c: "b"), so group numbers cannot show them; letters can, exactly.
// Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons", 2004: insert and absorb.

/**
 * @param names best first.
 * @param differs whether two are told apart; symmetric.
 * @returns letters by name, "a" for the group of the best; undefined when more than 26 letters would be needed.
 */
export function tieLetters(
  names: readonly string[],
  differs: (a: string, b: string) => boolean,
): ReadonlyMap<string, string> | undefined {
  let columns: readonly ReadonlySet<string>[] = [new Set(names)];
  for (const [i, a] of names.entries()) {
    for (const b of names.slice(i + 1)) {
      if (!differs(a, b)) continue;
      const split = columns.flatMap((column) =>
        column.has(a) && column.has(b) ? [without(column, a), without(column, b)] : [column],
      );
      columns = absorb(split);
      if (columns.length > 26) return undefined;
    }
  }
  const position = new Map(names.map((name, index) => [name, index]));
  const first = (column: ReadonlySet<string>) => Math.min(...[...column].map((name) => position.get(name)!));
  const last = (column: ReadonlySet<string>) => Math.max(...[...column].map((name) => position.get(name)!));
  const sorted = [...columns].sort((x, y) => first(x) - first(y) || last(x) - last(y));
  const letter = (index: number) => String.fromCharCode(97 + index);
  return new Map(
    names.map((name) => [
      name,
      sorted.flatMap((column, index) => (column.has(name) ? [letter(index)] : [])).join(""),
    ]),
  );
}

function without(column: ReadonlySet<string>, name: string): ReadonlySet<string> {
  return new Set([...column].filter((other) => other !== name));
}

/** Drops every column that lies inside another. */
function absorb(columns: readonly ReadonlySet<string>[]): readonly ReadonlySet<string>[] {
  const inside = (small: ReadonlySet<string>, large: ReadonlySet<string>) =>
    small.size <= large.size && [...small].every((name) => large.has(name));
  return columns.filter(
    (column, i) =>
      column.size > 0 &&
      !columns.some((other, j) => i !== j && inside(column, other) && (column.size < other.size || j < i)),
  );
}
