// The meaning of `project`: whole context lengths, and a baseline that exists.

import { similarName } from "../diag/suggest.js";
import { checkWholeNumber } from "./check_number.js";
import type { Checker } from "./checker.js";
import { parseLength } from "./quantity.js";

/** `presets` are the names that a baseline may use; unchecked if undefined. */
export function checkProject(checker: Checker, presets: readonly string[] | undefined): void {
  const contexts = checker.document.at(["project", "contexts"]);
  if (Array.isArray(contexts)) {
    for (const i of contexts.keys()) checkWholeNumber(checker, ["project", "contexts", i], parseLength);
  }
  if (presets !== undefined) checkBaseline(checker, presets);
}

/** A baseline is a preset by its name, or a file (recognised by its slash or extension). */
function checkBaseline(checker: Checker, presets: readonly string[]): void {
  const baseline = checker.read(["project", "baseline"]);
  if (typeof baseline !== "string" || /[/\\]|\.ya?ml$/.test(baseline)) return;
  const name = baseline.replace(/^preset:/, "");
  if (presets.includes(name)) return;
  const near = similarName("preset", name, presets);
  checker.error(
    ["project", "baseline"],
    "LMX1501",
    `Unknown preset ${JSON.stringify(name)} at project.baseline`,
    [near ?? "layermix preset list shows all presets; another study file is named with its extension"],
  );
}
