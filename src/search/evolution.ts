// Evolution over layer patterns: NSGA-II (Deb et al. 2002) with an archive. Parents come from the best `population` of
// everyone so far - by front, then by crowding - in tournaments of two; children are mutations and crossovers that keep
// the limits and have not been seen. A generation is decided when the one before is complete, so it is a function of the
// seed and the results alone.

import { hashUniform } from "../plan/hash_random.js";
import { crowdingDistances, nondominatedFronts } from "../rank/pareto.js";
import type { Birth, Decision, SearchView, Strategy } from "./decision.js";
import {
  crossover,
  type Draw,
  type Mutation,
  mutate,
  mutations,
  type PatternLimits,
  randomPattern,
  withinLimits,
} from "./genome.js";

export interface EvolutionOptions {
  readonly population: number;
  /** Generations after the first. */
  readonly generations: number;
  /** Share of children that come from one parent; the others have two, and then a mutation as often. */
  readonly mutation: number;
  readonly limits: PatternLimits;
  readonly seed: number;
}

/** What evolution knows of candidates beside their results. */
export interface EvolutionSpace {
  /** Patterns of the candidates the study begins with. */
  readonly initial: readonly string[];
  /** Costs of a candidate, lower is better: the objectives beside quality. */
  costs(candidate: number): readonly number[];
  /** Whether a pattern can be planned and meets `match` and `where`. */
  accepts(pattern: string): boolean;
}

/** A child that is found by chance is given up after so many that were not allowed. */
const attempts = 200;

export function evolution(options: EvolutionOptions, space: EvolutionSpace): Strategy {
  return (view) => {
    const generation = view.decisions.length;
    if (generation > options.generations) return "done";
    const known = Array.from({ length: view.candidates }, (_, candidate) => view.value(candidate, 0));
    if (generation > 0 && known.includes("open")) return "wait";
    const patterns = patternsSoFar(view, space);
    if (generation === 0) return firstGeneration(options, space, patterns);
    const parents = selectParents(view, space, options.population);
    if (parents.length === 0) return "done";
    const born = breed(generation, options.population, patterns, options, space, (child, attempt) =>
      childOf(parents, patterns, options, (label) =>
        hashUniform(options.seed, `evolution ${generation} ${child} ${attempt} ${label}`),
      ),
    );
    if (born.length === 0) return "done";
    return {
      born,
      run: born.map((_, i) => ({ candidate: view.candidates + i, rung: 0 })),
      reason: `generation ${generation}: ${born.length} children of the best ${parents.length}`,
    };
  };
}

/** Those the study begins with, filled up with mutations of them and with patterns drawn at random. */
function firstGeneration(
  options: EvolutionOptions,
  space: EvolutionSpace,
  patterns: readonly string[],
): Decision {
  const wanted = Math.max(0, options.population - patterns.length);
  const born = breed(0, wanted, patterns, options, space, (child, attempt) => {
    const draw: Draw = (label) => hashUniform(options.seed, `evolution 0 ${child} ${attempt} ${label}`);
    const pattern = randomPattern(options.limits, draw);
    if (pattern !== undefined) return { pattern, origin: "drawn at random" };
    const parent = Math.floor(draw("parent") * patterns.length);
    return mutant(patterns[parent]!, `the study's candidate ${parent + 1}`, options.limits, draw);
  });
  const everyone = Array.from({ length: patterns.length + born.length }, (_, candidate) => ({
    candidate,
    rung: 0,
  }));
  return {
    born,
    run: everyone,
    reason: `generation 0: ${patterns.length} candidates of the study and ${born.length} more`,
  };
}

interface Child {
  readonly pattern: string;
  readonly origin: string;
}

/** Up to `wanted` new patterns that are allowed, each different from all before. */
function breed(
  generation: number,
  wanted: number,
  seen: readonly string[],
  { limits }: EvolutionOptions,
  space: EvolutionSpace,
  make: (child: number, attempt: number) => Child,
): readonly Birth[] {
  const known = new Set(seen);
  const born: Birth[] = [];
  for (let child = 0; child < wanted; child++) {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const { pattern, origin } = make(child, attempt);
      if (known.has(pattern) || !withinLimits(pattern, limits)) continue;
      known.add(pattern);
      if (!space.accepts(pattern)) continue;
      born.push({ name: `g${generation}.${born.length + 1}`, values: { pattern }, origin });
      break;
    }
  }
  return born;
}

interface Parent {
  readonly candidate: number;
  readonly name: string;
  readonly front: number;
  readonly crowding: number;
}

/** The best `population` of everyone with a result: whole fronts first, the last one by crowding. */
function selectParents(view: SearchView, space: EvolutionSpace, population: number): readonly Parent[] {
  const names = namesSoFar(view);
  const alive = names.flatMap((name, candidate) => {
    const value = view.value(candidate, 0);
    return typeof value === "number" ? [{ candidate, name, value }] : [];
  });
  const points = alive.map(({ candidate, value }) => [value, ...space.costs(candidate).map((cost) => -cost)]);
  const parents = nondominatedFronts(points).flatMap((front, level) => {
    const crowding = crowdingDistances(front.map((index) => points[index]!));
    const members = front.map((index, i) => ({ ...alive[index]!, front: level, crowding: crowding[i]! }));
    return members.sort((a, b) =>
      a.crowding === b.crowding ? a.candidate - b.candidate : b.crowding > a.crowding ? 1 : -1,
    );
  });
  return parents.slice(0, population);
}

function childOf(
  parents: readonly Parent[],
  patterns: readonly string[],
  { mutation, limits }: EvolutionOptions,
  draw: Draw,
): Child {
  const first = tournament(parents, "first", draw);
  const pattern = patterns[first.candidate]!;
  if (draw("kind") < mutation || parents.length === 1) return mutant(pattern, first.name, limits, draw);
  const second = tournament(parents, "second", draw);
  const crossed = {
    pattern: crossover(pattern, patterns[second.candidate]!, draw),
    origin: `${first.name} x ${second.name}`,
  };
  if (draw("mutate as well") >= mutation) return crossed;
  return mutant(crossed.pattern, crossed.origin, limits, draw);
}

/** The better of two drawn parents: the better front, then the emptier surroundings. */
function tournament(parents: readonly Parent[], label: string, draw: Draw): Parent {
  const [a, b] = [`${label} a`, `${label} b`].map(
    (side) => parents[Math.floor(draw(side) * parents.length)]!,
  ) as [Parent, Parent];
  if (a.front !== b.front) return a.front < b.front ? a : b;
  return b.crowding > a.crowding ? b : a;
}

function mutant(pattern: string, of: string, { symbols, layers }: PatternLimits, draw: Draw): Child {
  const fixed = layers[0] === layers[1];
  const usable: readonly Mutation[] = fixed ? ["swap", "replace", "shift"] : mutations;
  const mutation = usable[Math.floor(draw("mutation") * usable.length)]!;
  return { pattern: mutate(pattern, mutation, symbols, draw), origin: `${mutation} of ${of}` };
}

function patternsSoFar(view: SearchView, space: EvolutionSpace): readonly string[] {
  return [...space.initial, ...births(view).map(({ values }) => String(values.pattern))];
}

function namesSoFar(view: SearchView): readonly string[] {
  const initial = Array.from({ length: view.initial }, (_, i) => `candidate ${i + 1}`);
  return [...initial, ...births(view).map(({ name }) => name)];
}

function births({ decisions }: SearchView): readonly Birth[] {
  return decisions.flatMap(({ born }) => born ?? []);
}
