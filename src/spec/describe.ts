// Values in messages: short, quoted where they are text, never more than a line.

const maxLength = 40;

/** "abc" -> "abc" in quotes, null -> nothing, collections by their kind. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return Object.keys(value).length === 0 ? "an empty mapping" : "a mapping";
  if (typeof value !== "string") return String(value);
  const text = value.length > maxLength ? `${value.slice(0, maxLength)}…` : value;
  return JSON.stringify(text);
}

/** ["a", "b", "c"] -> "a, b or c". */
export function listNames(names: readonly unknown[], conjunction = "or"): string {
  if (names.length <= 1) return names.join("");
  return `${names.slice(0, -1).join(", ")} ${conjunction} ${names.at(-1)}`;
}
