// Reads fields of a Hugging Face config.json with their defaults; whatever is not of the expected kind is an
// LMX5101 naming the field and the value. Infinity may come bare or as {"__float__": "Infinity"}
// (transformers 5).

import { invalidFile } from "./interop_error.js";
import { type Json, JsonSyntaxError, parseStrictJson } from "./strict_json.js";

/** Layers that are read of one model. */
export const maxLayers = 10_000;

type Fields = { readonly [key: string]: Json };

function asFields(value: Json): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function parse(text: string, file: string): Json {
  try {
    return parseStrictJson(text, { nonFinite: true });
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const before = text.slice(0, error.index).split("\n");
    const place = `line ${before.length}, column ${before.at(-1)!.length + 1}`;
    throw invalidFile("LMX5101", `${error.message} at ${place} of ${file}`);
  }
}

export class ConfigFields {
  readonly file: string;
  /** What the model is read for, in messages. */
  readonly purpose: "run" | "plan";
  readonly #fields: Fields;
  /** In front of names in messages: "rope_parameters.". */
  readonly #prefix: string;

  private constructor(fields: Fields, file: string, purpose: "run" | "plan", prefix: string) {
    this.#fields = fields;
    this.file = file;
    this.purpose = purpose;
    this.#prefix = prefix;
  }

  /** Parses the text of a config.json. Throws LMX5101. */
  static parse(text: string, file: string, purpose: "run" | "plan"): ConfigFields {
    const fields = asFields(parse(text, file));
    if (fields === undefined) throw invalidFile("LMX5101", `Expected a JSON object in ${file}`);
    return new ConfigFields(fields, file, purpose, "");
  }

  /** The mapping under a name; undefined where there is none. */
  section(name: string): ConfigFields | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    const fields = asFields(value);
    if (fields === undefined) throw this.wrong(name, "a mapping");
    return new ConfigFields(fields, this.file, this.purpose, `${this.#prefix}${name}.`);
  }

  /** The raw value; null and absent are both undefined. */
  get(name: string): Json | undefined {
    return Object.hasOwn(this.#fields, name) ? (this.#fields[name] ?? undefined) : undefined;
  }

  wrong(name: string, expected: string): Error {
    const got = this.get(name) === undefined ? "nothing" : JSON.stringify(this.get(name));
    return invalidFile(
      "LMX5101",
      `Expected ${expected} at ${this.#prefix}${name} in ${this.file}, got ${got.slice(0, 120)}`,
    );
  }

  text(name: string): string {
    const value = this.get(name);
    if (typeof value !== "string") throw this.wrong(name, "a string");
    return value;
  }

  count(name: string, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    if (!Number.isSafeInteger(value) || (value as number) < 1) throw this.wrong(name, "a positive integer");
    return value as number;
  }

  /** A number of layers: small enough that nobody runs out of memory over a typing error. */
  depth(name: string, fallback?: number): number {
    const value = this.count(name, fallback);
    if (value > maxLayers) throw this.wrong(name, `at most ${maxLayers} layers`);
    return value;
  }

  number(name: string, fallback: number): number {
    const value = toNumber(this.get(name) ?? fallback);
    if (value === undefined || Number.isNaN(value)) throw this.wrong(name, "a number");
    return value;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    if (typeof value !== "boolean") throw this.wrong(name, "true or false");
    return value;
  }

  list(name: string): readonly Json[] | undefined {
    const value = this.get(name);
    if (value !== undefined && !Array.isArray(value)) throw this.wrong(name, "a list");
    return value as readonly Json[] | undefined;
  }
}

/** A JSON number, or Infinity as transformers writes it. */
export function toNumber(value: Json): number | undefined {
  if (typeof value === "number") return value;
  const wrapped =
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as { readonly [key: string]: Json }).__float__
      : undefined;
  if (wrapped === "Infinity") return Number.POSITIVE_INFINITY;
  if (wrapped === "-Infinity") return Number.NEGATIVE_INFINITY;
  return undefined;
}
