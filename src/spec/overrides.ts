// `--set PATH=VALUE`: values set on the document before it is validated, so that they are checked like the file's own
// and errors point at the command line. VALUE is YAML; null removes the key. Lists take indices; the one after the last
// item appends.

import type { Diagnostic } from "../diag/diagnostic.js";
import { describeValue } from "./describe.js";
import { type Place, SpecDocument } from "./document.js";
import { checkText } from "./guard.js";
import { fromDots, fromPointer, type Path, toPointer } from "./path.js";
import { SourceText, type TextRange } from "./source_text.js";
import { parseYaml, reservedKeys, type YamlTree } from "./yaml_tree.js";

type Container = Record<string | number, unknown>;

const prefix = "--set ";

/** Applies all overrides in order; those that cannot be applied are reported and skipped. */
export function applyOverrides(
  document: SpecDocument,
  overrides: readonly string[],
): { readonly document: SpecDocument; readonly problems: readonly Diagnostic[] } {
  if (overrides.length === 0) return { document, problems: [] };
  const root = structuredClone(document.value) as unknown;
  const places = new Map(document.places);
  const problems = overrides.flatMap((text) => applyOne(root, places, text));
  return { document: new SpecDocument(document.file, root, places), problems };
}

function applyOne(root: unknown, places: Map<string, Place>, text: string): readonly Diagnostic[] {
  const shown = new SourceText("command line", prefix + text);
  const equals = shown.text.indexOf("=");
  const key: TextRange = { start: prefix.length, end: equals === -1 ? shown.text.length : equals };
  const steps = fromDots(shown.text.slice(key.start, key.end).trim());
  const malformed = (message: string, help: string): Diagnostic[] => [
    { code: "LMX6007", severity: "error", message, help: [help], position: shown.positionOf(key) },
  ];
  if (
    equals === -1 ||
    steps.length === 0 ||
    steps.includes("") ||
    shown.text.slice(equals + 1).trim() === ""
  ) {
    return malformed(
      `Expected ${prefix}PATH=VALUE, got ${shown.text}`,
      "for example --set model.hidden=2048",
    );
  }
  if (steps.some((step) => reservedKeys.has(step))) {
    return malformed(`Cannot set ${steps.join(".")}: the name is reserved`, "choose another key");
  }
  const tree = parseValue(shown, equals + 1);
  if (tree.problems.length > 0) return tree.problems;
  const path = resolvePath(root, steps);
  const problem = store(root, path, tree.value);
  if (problem !== undefined)
    return malformed(problem, "a path runs through mappings and lists; lists count from 0");
  record(places, path, tree, { source: shown, value: key, key });
  return [];
}

/** Parses the value where it stands in the command line, so that its offsets are right. */
function parseValue(shown: SourceText, start: number): YamlTree {
  const guarded = checkText(shown.file, " ".repeat(start) + shown.text.slice(start));
  if ("problem" in guarded) return { value: undefined, places: new Map(), problems: [guarded.problem] };
  const tree = parseYaml(guarded.source, shown);
  // "null" alone is an empty document to the file reader; here it is a value.
  return tree.problems[0]?.code === "LMX1012" ? { ...tree, value: null, problems: [] } : tree;
}

function asContainer(value: unknown): Container | undefined {
  return typeof value === "object" && value !== null ? (value as Container) : undefined;
}

/** Steps as keys: a key may hold dots itself ("mix.attention" below sweep.over), and lists take numbers. */
function resolvePath(root: unknown, steps: readonly string[]): Path {
  const path: (string | number)[] = [];
  let value: unknown = root;
  for (let i = 0; i < steps.length; ) {
    const container = asContainer(value);
    const isAxis = path.join(".") === "sweep.over";
    let end = isAxis ? steps.length : i + 1;
    for (let longer = steps.length; container !== undefined && longer > i + 1; longer--) {
      if (!Object.hasOwn(container, steps.slice(i, longer).join("."))) continue;
      end = longer;
      break;
    }
    const name = steps.slice(i, end).join(".");
    const step = Array.isArray(value) && /^\d{1,6}$/.test(name) ? Number(name) : name;
    value = container !== undefined && Object.hasOwn(container, step) ? container[step] : undefined;
    path.push(step);
    i = end;
  }
  return path;
}

/** Puts `value` at `path` (null: removes it), making missing mappings on the way; says what is in the way. */
function store(root: unknown, path: Path, value: unknown): string | undefined {
  let at = root;
  for (const [depth, step] of path.entries()) {
    const container = asContainer(at);
    if (container === undefined) {
      return `Cannot set ${path.join(".")}: ${path.slice(0, depth).join(".") || "the file"} is ${describeValue(at)}`;
    }
    if (Array.isArray(container) && (typeof step !== "number" || step > container.length)) {
      return `Expected an index from 0 to ${container.length} in ${path.join(".")}, got ${step}`;
    }
    if (depth < path.length - 1) {
      container[step] ??= {};
      at = container[step];
    } else if (value !== null) {
      container[step] = value;
    } else if (Array.isArray(container)) {
      return `Cannot remove an item of the list ${path.slice(0, depth).join(".")}`;
    } else {
      delete container[step];
    }
  }
  return undefined;
}

/** Replaces the places at and below `path` by those of the value, and gives made mappings the place of the path. */
function record(places: Map<string, Place>, path: Path, tree: YamlTree, made: Place): void {
  const pointer = toPointer(path);
  for (const known of [...places.keys()]) {
    if (known === pointer || known.startsWith(`${pointer}/`)) places.delete(known);
  }
  if (tree.value === null) return;
  for (let length = 1; length < path.length; length++) {
    const outer = toPointer(path.slice(0, length));
    if (!places.has(outer)) places.set(outer, made);
  }
  for (const [inner, place] of tree.places) {
    const target = toPointer([...path, ...fromPointer(inner)]);
    places.set(target, inner === "" ? { ...place, key: made.value } : place);
  }
}
