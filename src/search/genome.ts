// Patterns as genomes: what evolution does to the order of layers. Every function is pure: the random numbers come in as
// `draw`, one number in [0, 1) per label.

/** One random number per label; the same label gives the same number. */
export type Draw = (label: string) => number;

/** What patterns of a search may look like. */
export interface PatternLimits {
  /** Symbols that may be used. */
  readonly symbols: readonly string[];
  /** Number of layers, inclusive. */
  readonly layers: readonly [number, number];
  /** Layers by symbol, inclusive; a symbol without an entry is free. */
  readonly counts: ReadonlyMap<string, readonly [number, number]>;
}

export function withinLimits(pattern: string, { symbols, layers, counts }: PatternLimits): boolean {
  if (pattern.length < layers[0] || pattern.length > layers[1]) return false;
  if ([...pattern].some((symbol) => !symbols.includes(symbol))) return false;
  return [...counts].every(([symbol, [least, most]]) => {
    const count = pattern.split(symbol).length - 1;
    return count >= least && count <= most;
  });
}

export const mutations = ["swap", "replace", "shift", "insert", "delete"] as const;
export type Mutation = (typeof mutations)[number];

/** One change: two layers trade places, a layer becomes another kind, moves elsewhere, is added or taken away. */
export function mutate(pattern: string, mutation: Mutation, symbols: readonly string[], draw: Draw): string {
  const layers = [...pattern];
  const place = pick(draw, "place", layers.length);
  switch (mutation) {
    case "swap": {
      const others = [...layers.keys()].filter((index) => layers[index] !== layers[place]);
      const other = others[pick(draw, "other", others.length)];
      if (other === undefined) return pattern;
      [layers[place], layers[other]] = [layers[other]!, layers[place]!];
      break;
    }
    case "replace": {
      const others = symbols.filter((symbol) => symbol !== layers[place]);
      const other = others[pick(draw, "other", others.length)];
      if (other !== undefined) layers[place] = other;
      break;
    }
    case "shift": {
      const [moved] = layers.splice(place, 1);
      layers.splice(pick(draw, "other", layers.length + 1), 0, moved!);
      break;
    }
    case "insert":
      layers.splice(place, 0, symbols[pick(draw, "other", symbols.length)]!);
      break;
    case "delete":
      layers.splice(place, 1);
      break;
  }
  return layers.join("");
}

/**
 * Two-point crossover: a stretch of one parent takes the place of the same stretch of the other. Places are shares of the
 * depth, so parents of different depths can be crossed; the child has the first parent's depth where the two agree.
 */
export function crossover(first: string, second: string, draw: Draw): string {
  const cuts = [draw("cut"), draw("other cut")].sort((a, b) => a - b) as [number, number];
  const [from, to] = cuts.map((cut) => Math.round(cut * first.length)) as [number, number];
  const [begin, end] = cuts.map((cut) => Math.round(cut * second.length)) as [number, number];
  return first.slice(0, from) + second.slice(begin, end) + first.slice(to);
}

/** A pattern within the limits, every layer drawn anew; undefined when the draw breaks the limits. */
export function randomPattern(limits: PatternLimits, draw: Draw): string | undefined {
  const [least, most] = limits.layers;
  const length = least + pick(draw, "length", most - least + 1);
  const pattern = Array.from({ length }, (_, i) => {
    return limits.symbols[pick(draw, `layer ${i}`, limits.symbols.length)]!;
  }).join("");
  return withinLimits(pattern, limits) ? pattern : undefined;
}

function pick(draw: Draw, label: string, count: number): number {
  return Math.floor(draw(label) * count);
}
