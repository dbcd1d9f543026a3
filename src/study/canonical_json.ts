// One JSON text per value: keys sorted by code unit, no white space, numbers as ECMAScript prints them (shortest form
// that reads back to the same double). Trial identity is a hash of this text, so anything that JSON would silently
// change or drop - NaN, Infinity, -0, undefined, functions, class instances - is refused instead.

import { createHash } from "node:crypto";

/** The canonical JSON text of plain data. Throws TypeError, naming the path, on anything JSON cannot hold exactly. */
export function canonicalJson(value: unknown, path = "$"): string {
  switch (typeof value) {
    case "string":
    case "boolean":
      return JSON.stringify(value);
    case "number":
      if (!Number.isFinite(value)) throw new TypeError(`Expected a finite number at ${path}, got ${value}`);
      if (Object.is(value, -0)) throw new TypeError(`Expected a number JSON keeps at ${path}, got -0`);
      return String(value);
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) {
        return `[${value.map((item, index) => canonicalJson(item, `${path}[${index}]`)).join(",")}]`;
      }
      return canonicalObject(value, path);
    default:
      throw new TypeError(`Expected JSON data at ${path}, got ${typeof value}`);
  }
}

/** SHA-256 of the canonical JSON text, lower-case hex. */
export function canonicalHash(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value), "utf8").digest("hex");
}

function canonicalObject(value: object, path: string): string {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(
      `Expected a plain object at ${path}, got ${prototype?.constructor?.name ?? "another"}`,
    );
  }
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item, `${path}.${key}`)}`);
  return `{${members.join(",")}}`;
}
