// JSON for headers of files that come from elsewhere: JSON.parse with what it leaves out. Duplicate keys are
// errors (two readers must never see two different files), depth is limited, keys become own properties of
// prototype-less objects, and every error carries the position of the offending character. Grammar: RFC 8259.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Why a text is not acceptable JSON; `index` counts UTF-16 units from the start of the text. */
export class JsonSyntaxError extends Error {
  readonly index: number;

  constructor(message: string, index: number) {
    super(message);
    this.name = "JsonSyntaxError";
    this.index = index;
  }
}

const numberToken = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const whitespace = /[ \t\n\r]*/y;

export interface StrictJsonOptions {
  readonly maxDepth?: number;
  /** Accept the bare words Infinity and NaN, as Python's json module writes them. */
  readonly nonFinite?: boolean;
}

/** Parses the whole text as one JSON value. Throws JsonSyntaxError. */
export function parseStrictJson(text: string, options: StrictJsonOptions = {}): Json {
  const { maxDepth = 16, nonFinite = false } = options;
  let at = 0;

  const fail = (expected: string): never => {
    const found = at < text.length ? JSON.stringify(text[at]) : "the end";
    throw new JsonSyntaxError(`Expected ${expected}, got ${found}`, at);
  };
  const skip = (): void => {
    whitespace.lastIndex = at;
    whitespace.test(text);
    at = whitespace.lastIndex;
  };
  const take = (token: RegExp, expected: string): string => {
    token.lastIndex = at;
    const match = token.exec(text);
    if (!match) return fail(expected);
    at = token.lastIndex;
    return match[0];
  };
  const accept = (character: string): boolean => {
    skip();
    if (text[at] !== character) return false;
    at += 1;
    return true;
  };

  // Scanned by hand: a regular expression runs out of stack on strings of some megabytes.
  const string = (expected: string): string => {
    if (text[at] !== '"') fail(expected);
    const start = at;
    for (at += 1; text[at] !== '"'; at += text[at] === "\\" ? 2 : 1) {
      if (at >= text.length) fail("'\"'");
    }
    at += 1;
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      throw new JsonSyntaxError("Expected a string without control characters and bad escapes", start);
    }
  };

  const object = (depth: number): Json => {
    const result: Record<string, Json> = Object.create(null);
    at += 1;
    if (accept("}")) return result;
    do {
      skip();
      const start = at;
      const key = string("a string key");
      if (key in result) throw new JsonSyntaxError(`The key ${JSON.stringify(key)} appears twice`, start);
      if (!accept(":")) fail("':'");
      result[key] = value(depth);
    } while (accept(","));
    if (!accept("}")) fail("',' or '}'");
    return result;
  };
  const array = (depth: number): Json => {
    const result: Json[] = [];
    at += 1;
    if (accept("]")) return result;
    do result.push(value(depth));
    while (accept(","));
    if (!accept("]")) fail("',' or ']'");
    return result;
  };
  const literal = (word: string, meaning: Json): Json => {
    if (!text.startsWith(word, at)) fail("a value");
    at += word.length;
    return meaning;
  };
  const value = (depth: number): Json => {
    skip();
    if (depth >= maxDepth) throw new JsonSyntaxError(`Nested deeper than ${maxDepth} levels`, at);
    switch (text[at]) {
      case "{":
        return object(depth + 1);
      case "[":
        return array(depth + 1);
      case '"':
        return string("a string");
      case "t":
        return literal("true", true);
      case "f":
        return literal("false", false);
      case "n":
        return literal("null", null);
      default:
        if (nonFinite && text.startsWith("Infinity", at))
          return literal("Infinity", Number.POSITIVE_INFINITY);
        if (nonFinite && text.startsWith("-Infinity", at))
          return literal("-Infinity", Number.NEGATIVE_INFINITY);
        if (nonFinite && text.startsWith("NaN", at)) return literal("NaN", Number.NaN);
        return Number(take(numberToken, "a value"));
    }
  };

  const result = value(0);
  skip();
  if (at < text.length) fail("the end");
  return result;
}
