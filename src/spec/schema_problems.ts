// JSON Schema errors in the words of the user: one problem per place, "Expected X at PATH, got Y", with the nearest
// name for unknown keys and values. Errors that only follow from another one are left out.

import type { Diagnostic, DiagnosticCode } from "../diag/diagnostic.js";
import { nearestName, similarName } from "../diag/suggest.js";
import { describeValue, listNames } from "./describe.js";
import { fromPointer, type Path, showPath } from "./path.js";
import type { AnnotatedSchema, SchemaError } from "./validators.js";

export interface SchemaProblem {
  readonly path: Path;
  /** Point at the key (unknown keys) or at the value. */
  readonly what: "key" | "value";
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly help: readonly string[];
  /** Where a misspelt key was probably meant to be: what is said about that place would be said twice. */
  readonly meant?: Path;
}

const typeNames: Readonly<Record<string, string>> = {
  integer: "a whole number",
  number: "a number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
};

function expectedBy(schema: AnnotatedSchema): string {
  if (schema["x-expected"] !== undefined) return schema["x-expected"];
  const types = [schema.type ?? []].flat();
  const names = types.length === 0 ? "a number" : listNames(types.map((type) => typeNames[type] ?? type));
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const low = minimum ?? exclusiveMinimum;
  const high = maximum ?? exclusiveMaximum;
  if (low === undefined && high === undefined) return names;
  const above = minimum === undefined ? `above ${low}` : `from ${low}`;
  const below = maximum === undefined ? `below ${high}` : `${minimum === undefined ? "up " : ""}to ${high}`;
  return `${names} ${low === undefined ? "" : above}${high === undefined ? "" : ` ${below}`}`.trimEnd();
}

/** Help for the mistakes that are common enough to be recognised. */
function valueHelp(value: unknown, schema: AnnotatedSchema): string[] {
  const types = [schema.type ?? []].flat();
  const isShare = schema["x-expected"]?.startsWith("a share") === true;
  if (isShare && typeof value === "number" && value > 1 && value <= 100)
    return [`write ${value}% for a percentage`];
  if (typeof value === "string") {
    if (types.includes("boolean") && /^(yes|no|on|off|y|n|true|false)$/i.test(value)) {
      return [`write ${/^(yes|on|y|true)$/i.test(value) ? "true" : "false"}, without quotes`];
    }
    if (types.includes("integer") || types.includes("number")) {
      if (/^-?[\d.]+$/.test(value)) return ["remove the quotes"];
      if (/^\d[\d_,]*$/.test(value)) return [`write ${value.replaceAll(/[_,]/g, "")}, without separators`];
      if (types.includes("string") && /^[\d.]+ ?[kmgbt]+%?$/.test(value))
        return ["units are upper case: K, M, B"];
      if (/^[\d.]+ ?[kKmMbB]$/.test(value)) return ["write the number in full, digits alone"];
    }
  }
  if (types.length === 1 && types[0] === "array" && value !== null && typeof value !== "object") {
    return [`a list of one is written [${value}]`];
  }
  return [];
}

function unknownKey(error: SchemaError, path: Path): SchemaProblem {
  const key = String(error.params.additionalProperty);
  const names = Object.keys(error.parentSchema?.properties ?? {});
  const what = "key";
  const nearest = nearestName(key, names);
  const meant = nearest === undefined ? {} : { meant: [...path, nearest] };
  const message = `Unknown key ${key}${path.length === 0 ? "" : ` at ${showPath(path)}`}`;
  const [word = "", ...rest] = key.split(":");
  const help =
    rest.length > 0 && names.includes(word)
      ? `a colon needs a space behind it: ${word}: ${rest.join(":")}`
      : (similarName("key", key, names) ?? `expected ${listNames(names)}`);
  return { path: [...path, key], what, code: "LMX1101", message, help: [help], ...meant };
}

/** One error as a problem; undefined for errors that only summarise others. */
function toProblem(error: SchemaError): SchemaProblem | undefined {
  const path = fromPointer(error.instancePath);
  const schema = error.parentSchema ?? {};
  const value = error.data;
  const what = "value";
  const got = `${path.length === 0 ? "as the whole file" : `at ${showPath(path)}`}, got ${describeValue(value)}`;
  switch (error.keyword) {
    case "additionalProperties":
      return unknownKey(error, path);
    case "required": {
      const key = String(error.params.missingProperty);
      const message = `Missing key ${key}${path.length === 0 ? "" : ` at ${showPath(path)}`}`;
      const example = schema.properties?.[key];
      const hint = example === undefined ? undefined : exampleOf(key, example);
      return { path: [...path, key], what, code: "LMX1102", message, help: hint === undefined ? [] : [hint] };
    }
    case "type":
    case "pattern":
    case "minLength":
    case "maxLength":
      return {
        path,
        what,
        code: "LMX1103",
        message: `Expected ${expectedBy(schema)} ${got}`,
        help: valueHelp(value, schema),
      };
    case "enum": {
      const names = error.params.allowedValues as string[];
      const near = typeof value === "string" ? similarName("value", value, names) : undefined;
      const help = near === undefined ? [] : [near];
      return {
        path,
        what,
        code: "LMX1104",
        message: `Expected ${schema["x-expected"] ?? listNames(names)} ${got}`,
        help,
      };
    }
    case "const": {
      const message = `Expected format version ${error.params.allowedValue} ${got}`;
      return { path, what, code: "LMX1107", message, help: ["this layermix reads version 1"] };
    }
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
    case "exclusiveMaximum":
      return {
        path,
        what,
        code: "LMX1105",
        message: `Expected ${expectedBy(schema)} ${got}`,
        help: valueHelp(value, schema),
      };
    case "minItems":
    case "maxItems":
    case "minProperties":
    case "maxProperties": {
      const limit = error.params.limit as number;
      const noun = error.keyword.endsWith("Items") ? "item" : "key";
      const bound = error.keyword.startsWith("min") ? "at least" : "at most";
      const count = Array.isArray(value) ? value.length : Object.keys(value as object).length;
      const message = `Expected ${bound} ${limit} ${noun}${limit === 1 ? "" : "s"} at ${showPath(path)}, got ${count}`;
      return { path, what, code: "LMX1106", message, help: [] };
    }
    default:
      return undefined;
  }
}

function exampleOf(
  key: string,
  schema: AnnotatedSchema & { readonly examples?: readonly unknown[] },
): string | undefined {
  const example = schema.examples?.[0];
  return example === undefined || typeof example === "object"
    ? undefined
    : `add ${key}, for example ${key}: ${example}`;
}

/** Errors of the schema as problems: one per place, follow-ups of an unknown key or a wrong type removed. */
export function schemaProblems(errors: readonly SchemaError[]): readonly SchemaProblem[] {
  const problems = errors.map(toProblem).filter((problem) => problem !== undefined);
  const meant = new Set(problems.map((problem) => JSON.stringify(problem.meant)));
  const seen = new Set<string>();
  return problems.filter((problem) => {
    const place = JSON.stringify(problem.path);
    // A missing key whose misspelling is right there, or a second complaint about the same value, is not news.
    if (problem.code === "LMX1102" && meant.has(place)) return false;
    if (seen.has(place)) return false;
    seen.add(place);
    return true;
  });
}

/** A problem with its position. */
export function toDiagnostic(
  problem: SchemaProblem,
  locate: (path: Path, what: "key" | "value") => Diagnostic["position"],
): Diagnostic {
  const { path, what, code, message, help } = problem;
  const position = locate(path, what);
  return {
    code,
    severity: "error",
    message,
    help,
    path: showPath(path),
    ...(position === undefined ? {} : { position }),
  };
}
