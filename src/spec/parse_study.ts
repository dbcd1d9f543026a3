// Text -> Spec, without touching a file: guard, YAML, overrides, schema, meaning. Every independent problem is found in
// one pass; a Spec comes out only when there is none. Warnings wait until then.

import { type Diagnostic, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { orderDiagnostics } from "../diag/order.js";
import { checkModel } from "./check_model.js";
import { checkProject } from "./check_project.js";
import { checkProxy } from "./check_proxy.js";
import { checkSweep, sweptPaths } from "./check_sweep.js";
import { Checker, type Section } from "./checker.js";
import { SpecDocument } from "./document.js";
import { checkText, decodeSource } from "./guard.js";
import { unknownKinds } from "./kind_names.js";
import { withPositions } from "./locate_error.js";
import { applyOverrides } from "./overrides.js";
import { fromDots, showPath, toPointer } from "./path.js";
import { resolveLayout, resolveSpec, resolveTasks } from "./resolve_spec.js";
import { type SchemaProblem, schemaProblems, toDiagnostic } from "./schema_problems.js";
import type { LayoutSource, ProxySpec, Spec } from "./spec.js";
import { studySchemaErrors } from "./validators.js";
import { parseYaml } from "./yaml_tree.js";

export interface ParseOptions {
  /** The file as messages name it. */
  readonly file: string;
  /** Folder that relative paths in the file start from; "." by default. */
  readonly folder?: string;
  /** Name of a study that does not give one; "study" by default. */
  readonly defaultName?: string;
  /** `--set` overrides, "path=value". */
  readonly set?: readonly string[];
  /** Names that `project.baseline` may use; unchecked if absent. */
  readonly presets?: readonly string[];
  /** Names that `project.hardware` may use; unchecked if absent. */
  readonly hardware?: readonly string[];
  /**
   * Asked about a file that is refused: what later rooms have against the parts of it that are right, so that all
   * problems come at once.
   */
  readonly inspect?: (parts: SoundParts) => readonly Diagnostic[];
}

/** The parts of a refused file about which nothing was said. */
export interface SoundParts {
  readonly layout?: LayoutSource;
  readonly proxy?: Pick<ProxySpec, "sequence" | "tasks">;
}

export interface LoadedStudy {
  readonly spec: Spec;
  /** The file with the places of its values, to point at what a later room complains about. */
  readonly document: SpecDocument;
  readonly warnings: readonly Diagnostic[];
}

function refuse(diagnostics: readonly Diagnostic[]): never {
  const usage = diagnostics.every((diagnostic) => diagnostic.code.startsWith("LMX6"));
  throw new LayermixError(orderDiagnostics(diagnostics), usage ? exitCodes.usage : exitCodes.invalidFile);
}

/**
 * Reads a study from its text (or bytes, decoded as UTF-8).
 * @throws LayermixError with every independent problem, each with its position (exit code 3; 2 for a malformed --set)
 */
export function parseStudy(source: string | Uint8Array, options: ParseOptions): LoadedStudy {
  const { file } = options;
  const guarded = typeof source === "string" ? checkText(file, source) : decodeSource(file, source);
  if ("problem" in guarded) refuse([guarded.problem]);
  const tree = parseYaml(guarded.source);
  if (tree.value === undefined) refuse(tree.problems);
  const read = new SpecDocument(file, tree.value, tree.places);
  const { document, problems } = applyOverrides(read, options.set ?? []);
  if (problems.length > 0) refuse([...tree.problems, ...problems]);

  const kinds = unknownKinds(document.value);
  const schema = [
    ...kinds,
    ...schemaProblems(studySchemaErrors(document.value)).filter(isOutside(kinds)),
  ].filter(isNews(tree.problems));
  // A file of another format version is not judged by the rules of this one.
  const version = schema.find((problem) => problem.code === "LMX1107");
  if (version !== undefined) refuse([toDiagnostic(version, (path, what) => document.locate(path, what))]);
  const doubts = schema.flatMap(({ path, meant }) => (meant === undefined ? [path] : [path, meant]));
  // What a merge key would have brought is unknown, so its whole mapping is left alone.
  const unread = tree.problems.map((problem) => fromDots((problem.path ?? "").replace(/\.?<<$/, "")));
  const checker = new Checker(document, [...doubts, ...unread]);
  checkMeaning(checker, options);
  const errors = [
    ...tree.problems,
    ...schema.map((problem) => toDiagnostic(problem, (path, what) => document.locate(path, what))),
    ...checker.diagnostics.filter(({ severity }) => severity === "error"),
  ];
  if (errors.length > 0) {
    const further = options.inspect?.(soundParts(checker)) ?? [];
    refuse([...errors, ...withPositions(further, document)]);
  }
  const { folder = ".", defaultName = "study" } = options;
  const spec = resolveSpec(document.value as Section, { file, folder, defaultName });
  return { spec, document, warnings: orderDiagnostics(checker.diagnostics) };
}

/** What is below a name that is no kind is not judged. */
function isOutside(kinds: readonly SchemaProblem[]): (found: SchemaProblem) => boolean {
  const places = kinds.map(({ path }) => toPointer(path));
  return ({ path }) => !places.some((place) => `${toPointer(path)}/`.startsWith(`${place}/`));
}

/** Values that could not be read, and keys that a merge or a second mapping of that name might have brought, are not reported a second time. */
function isNews(problems: readonly Diagnostic[]): (found: SchemaProblem) => boolean {
  const paths = new Set(problems.map((problem) => problem.path));
  return ({ path, code }) => {
    if (paths.has(showPath(path))) return false;
    const parent = path.slice(0, -1);
    return code !== "LMX1102" || !(paths.has(showPath([...parent, "<<"])) || paths.has(showPath(parent)));
  };
}

function soundParts(checker: Checker): SoundParts {
  const model = checker.section(["model"]);
  const keys = model?.pattern === undefined ? ["layers", "mix", "placement"] : ["pattern"];
  const given = model?.pattern ?? model?.mix;
  const layout =
    model !== undefined && given !== undefined && keys.every((key) => checker.flawless(["model", key]));
  const proxy = checker.section(["proxy"]);
  const list = checker.document.at(["proxy", "tasks"]);
  const tasks =
    proxy !== undefined &&
    Array.isArray(list) &&
    checker.flawless(["proxy", "sequence"]) &&
    list.every((_, i) => {
      const place = ["proxy", "tasks", i];
      return (
        checker.sound(place, false) &&
        checker.flawless([...place, "task"]) &&
        checker.flawless([...place, "sequence"])
      );
    });
  return {
    ...(layout ? { layout: resolveLayout(model) } : {}),
    ...(tasks ? { proxy: resolveTasks(proxy) } : {}),
  };
}

function checkMeaning(checker: Checker, names: Pick<ParseOptions, "presets" | "hardware">): void {
  const fill = checker.read(["sweep", "fill"]);
  checkModel(checker, sweptPaths(checker), typeof fill === "string" ? fill : undefined);
  checkSweep(checker);
  checkProxy(checker);
  checkProject(checker, names);
}
