// The meaning of `project`: whole context lengths, hardware and a baseline that exist.

import { similarName } from "../diag/suggest.js";
import { checkWholeNumber } from "./check_number.js";
import type { Checker } from "./checker.js";
import { parseLength } from "./quantity.js";

/** Names that a baseline and hardware may use; unchecked where they are undefined. */
export interface ProjectNames {
  readonly presets?: readonly string[];
  readonly hardware?: readonly string[];
}

export function checkProject(checker: Checker, { presets, hardware }: ProjectNames): void {
  const contexts = checker.document.at(["project", "contexts"]);
  if (Array.isArray(contexts)) {
    for (const i of contexts.keys()) checkWholeNumber(checker, ["project", "contexts", i], parseLength);
  }
  if (presets !== undefined) checkBaseline(checker, presets);
  if (hardware !== undefined) checkHardware(checker, hardware);
}

/** Whether a text names a file: it has a slash or the extension of one. */
export function namesFile(text: string): boolean {
  return /[/\\]|\.(?:ya?ml|json)$/.test(text);
}

function checkHardware(checker: Checker, names: readonly string[]): void {
  const hardware = checker.read(["project", "hardware"]);
  if (typeof hardware !== "string" || namesFile(hardware) || names.includes(hardware)) return;
  const near = similarName("device", hardware, names);
  checker.error(
    ["project", "hardware"],
    "LMX1502",
    `Unknown hardware ${JSON.stringify(hardware)} at project.hardware`,
    [near ?? "layermix hardware list shows all devices; a file is named with its extension"],
  );
}

/** A baseline is a preset by its name, or a file (recognised by its slash or extension). */
function checkBaseline(checker: Checker, presets: readonly string[]): void {
  const baseline = checker.read(["project", "baseline"]);
  if (typeof baseline !== "string" || namesFile(baseline)) return;
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
