// YAML 1.2 text -> plain data with places. Only what a study file needs: one document, plain keys, the core schema.
// Everything that would be ignored or reinterpreted silently (duplicate keys, merge keys, tags, YAML 1.1) is an error.

import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type ParsedNode,
  parseAllDocuments,
  type YAMLMap,
} from "yaml";
import type { Diagnostic, DiagnosticCode } from "../diag/diagnostic.js";
import type { Place } from "./document.js";
import { maxDepth } from "./guard.js";
import { type Path, showPath, toPointer } from "./path.js";
import type { SourceText, TextRange } from "./source_text.js";
import { syntaxProblem } from "./yaml_syntax.js";

export interface YamlTree {
  readonly value: unknown;
  readonly places: ReadonlyMap<string, Place>;
  readonly problems: readonly Diagnostic[];
}

const maxAliases = 50;
/** Values in an expanded file; a study file has a few hundred. */
const maxValues = 100_000;
export const reservedKeys = new Set(["__proto__", "constructor", "prototype"]);

/** Thrown inside the walk to give up on the whole file. */
class Abandoned extends Error {}

class TreeBuilder {
  readonly places = new Map<string, Place>();
  readonly problems: Diagnostic[] = [];
  #aliases = 0;
  #values = 0;

  constructor(
    private readonly source: SourceText,
    private readonly document: Document.Parsed,
  ) {}

  report(range: TextRange, code: DiagnosticCode, message: string, help: string[], path?: Path): void {
    this.problems.push({
      code,
      severity: "error",
      message,
      help,
      position: this.source.positionOf(range),
      ...(path === undefined ? {} : { path: showPath(path) }),
    });
  }

  #abandon(range: TextRange, code: DiagnosticCode, message: string): never {
    this.report(range, code, message, []);
    throw new Abandoned();
  }

  /** `fallback` is the range of an empty value: that of its key. */
  build(node: Node | null | undefined, path: Path, key: TextRange | undefined, fallback: TextRange): unknown {
    let range = rangeOf(node) ?? fallback;
    if (range.start === range.end) range = fallback;
    if (++this.#values > maxValues) {
      this.#abandon(
        range,
        "LMX1008",
        `Expected at most ${maxValues} values, got more after expanding aliases`,
      );
    }
    if (path.length > maxDepth) {
      this.#abandon(range, "LMX1004", `Expected at most ${maxDepth} levels of nesting, got more`);
    }
    const block = (isMap(node) || isSeq(node)) && node.flow !== true;
    const shown = block && key !== undefined ? key : range;
    this.places.set(toPointer(path), {
      source: this.source,
      value: shown,
      ...(key === undefined ? {} : { key }),
    });
    if (isAlias(node)) return this.#buildAlias(node, path, key, range);
    if (isMap(node)) return this.#buildMap(node, path);
    if (isSeq(node))
      return node.items.map((item, i) => this.build(item as Node, [...path, i], undefined, range));
    if (!isScalar(node)) return null;
    if (typeof node.value === "number" && !Number.isFinite(node.value)) {
      const got = node.source ?? String(node.value);
      this.report(range, "LMX1010", `Expected a finite number at ${showPath(path)}, got ${got}`, [], path);
      return null;
    }
    return node.value ?? null;
  }

  #buildAlias(alias: Alias, path: Path, key: TextRange | undefined, range: TextRange): unknown {
    if (++this.#aliases > maxAliases) {
      this.#abandon(range, "LMX1008", `Expected at most ${maxAliases} aliases, got more`);
    }
    const target = alias.resolve(this.document);
    if (target === undefined) {
      this.report(
        range,
        "LMX1008",
        `Expected an anchor &${alias.source} before this alias, got none`,
        [],
        path,
      );
      return null;
    }
    return this.build(target as Node, path, key, range);
  }

  #buildMap(map: YAMLMap, path: Path): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const pair of map.items) {
      const keyNode = pair.key as ParsedNode | null;
      const range = rangeOf(keyNode) ?? rangeOf(map)!;
      const name = isScalar(keyNode) ? (keyNode.source ?? String(keyNode.value)) : undefined;
      const problem = this.#checkKey(name, range, result, path);
      const value = this.build(pair.value as Node | null, [...path, name ?? ""], range, range);
      if (problem) continue;
      result[name!] = value;
    }
    return result;
  }

  /** Reports what is wrong with a key; true if the entry is to be left out. */
  #checkKey(name: string | undefined, range: TextRange, taken: object, path: Path): boolean {
    const where = path.length === 0 ? "" : ` at ${showPath(path)}`;
    if (name === undefined || name === "") {
      this.report(range, "LMX1016", `Expected a plain word as key${where}`, []);
    } else if (name === "<<") {
      const help = ["write the keys out; plain aliases (*name) work"];
      this.report(range, "LMX1007", `Merge keys (<<) are not supported${where}`, help, [...path, name]);
    } else if (reservedKeys.has(name)) {
      this.report(range, "LMX1009", `${name} is reserved and cannot be a key${where}`, []);
    } else if (Object.hasOwn(taken, name)) {
      this.report(
        range,
        "LMX1006",
        `Duplicate key ${name}${where}`,
        ["remove one of the two"],
        [...path, name],
      );
    } else {
      return false;
    }
    return true;
  }
}

function rangeOf(node: Node | null | undefined): TextRange | undefined {
  const range = node?.range;
  return range == null ? undefined : { start: range[0], end: Math.max(range[1], range[0]) };
}

function failed(problem: Diagnostic): YamlTree {
  return { value: undefined, places: new Map(), problems: [problem] };
}

/**
 * Parses guarded text (guard.ts). Never throws; problems come back in reading order. Places and positions refer to
 * `shown`, a text with the same offsets (a value inside a command line).
 */
export function parseYaml(source: SourceText, shown: SourceText = source): YamlTree {
  const start: TextRange = { start: 0, end: 1 };
  // Duplicate keys are found by TreeBuilder: yaml's own check takes quadratic time.
  const documents = parseAllDocuments(source.text, {
    prettyErrors: false,
    uniqueKeys: false,
    logLevel: "silent",
  });
  const [document, second] = documents as [Document.Parsed?, Document.Parsed?];
  const empty = document === undefined || document.contents === null;
  const syntax = document?.errors[0] ?? document?.warnings[0];
  if (syntax !== undefined) return failed(syntaxProblem(shown, syntax));
  const builder = new TreeBuilder(shown, document as Document.Parsed);
  if (second !== undefined) {
    const at = rangeOf(second.contents) ?? { start: second.range[0], end: second.range[0] + 1 };
    builder.report(at, "LMX1011", "Expected one YAML document, got a second one", [
      "put it into a file of its own",
    ]);
    return failed(builder.problems[0]!);
  }
  if (empty || (isScalar(document.contents) && document.contents.value === null)) {
    builder.report(start, "LMX1012", "Expected a study, got an empty file", [
      "layermix init study.yaml writes a file to start from",
    ]);
    return failed(builder.problems[0]!);
  }
  if (document.directives?.yaml.explicit === true && document.directives.yaml.version !== "1.2") {
    const version = document.directives.yaml.version;
    builder.report(start, "LMX1005", `Expected YAML 1.2, got %YAML ${version}`, ["remove the directive"]);
    return failed(builder.problems[0]!);
  }
  try {
    const value = builder.build(document.contents, [], undefined, start);
    return { value, places: builder.places, problems: builder.problems };
  } catch (error) {
    if (!(error instanceof Abandoned)) throw error;
    return { value: undefined, places: builder.places, problems: builder.problems };
  }
}
