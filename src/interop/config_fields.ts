// Reads fields of a Hugging Face config.json with their defaults; whatever is not of the expected kind is an
// LMX5101 naming the field and the value. Infinity may come bare or as {"__float__": "Infinity"}
// (transformers 5).

import { invalidFile } from "./interop_error.js";
import { type Json, JsonSyntaxError, parseStrictJson } from "./strict_json.js";

export class ConfigFields {
  readonly file: string;
  readonly #fields: { readonly [key: string]: Json };

  /** Parses the text of a config.json. Throws LMX5101. */
  constructor(text: string, file: string) {
    this.file = file;
    const document = this.#parse(text);
    if (typeof document !== "object" || document === null || Array.isArray(document)) {
      throw invalidFile("LMX5101", `Expected a JSON object in ${file}`);
    }
    this.#fields = document as { readonly [key: string]: Json };
  }

  #parse(text: string): Json {
    try {
      return parseStrictJson(text, { nonFinite: true });
    } catch (error) {
      if (!(error instanceof JsonSyntaxError)) throw error;
      const before = text.slice(0, error.index).split("\n");
      const place = `line ${before.length}, column ${before.at(-1)!.length + 1}`;
      throw invalidFile("LMX5101", `${error.message} at ${place} of ${this.file}`);
    }
  }

  /** The raw value; null and absent are both undefined. */
  get(name: string): Json | undefined {
    return this.#fields[name] ?? undefined;
  }

  wrong(name: string, expected: string): Error {
    const got = this.get(name) === undefined ? "nothing" : JSON.stringify(this.get(name));
    return invalidFile(
      "LMX5101",
      `Expected ${expected} at ${name} in ${this.file}, got ${got.slice(0, 120)}`,
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
