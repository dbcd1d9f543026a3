// Checks of single numbers that a schema cannot make, because they are about what a text with a unit stands for.

import type { Checker } from "./checker.js";
import { type Path, showPath } from "./path.js";
import { parseShare, showShare } from "./quantity.js";

/** "1.0001K" has the form of a count but is no whole number. */
export function checkWholeNumber(checker: Checker, path: Path, parse: (value: unknown) => number): void {
  const value = checker.read(path);
  if (value === undefined) return;
  const number = parse(value);
  if (Number.isSafeInteger(number) && number >= 1) return;
  const message = `Expected a whole number above 0 at ${showPath(path)}, got ${value} = ${number}`;
  checker.error(path, "LMX1103", message);
}

/** Shares of which zero makes no sense. */
export function checkPositiveShare(checker: Checker, path: Path, below = Number.POSITIVE_INFINITY): void {
  const share = checker.read(path);
  if (share === undefined) return;
  const number = parseShare(share);
  if (number > 0 && number < below) return;
  const range = below === 1 ? "a share above 0% and below 100%" : "a share above 0%";
  checker.error(path, "LMX1105", `Expected ${range} at ${showPath(path)}, got ${showShare(number)}`, []);
}
