// The models and studies that come with layermix: presets/<kind>/<name>.yaml, named "preset:<name>" wherever a file is
// expected. Names are unique across kinds.

import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

export type PresetKind = "model" | "study";

export interface Preset {
  readonly name: string;
  readonly kind: PresetKind;
  /** Absolute path of the file. */
  readonly file: string;
}

const folders: readonly (readonly [PresetKind, string])[] = [
  ["model", "models"],
  ["study", "studies"],
];

const hardwareFolder = fileURLToPath(new URL("../../presets/hardware/", import.meta.url));

/** All presets: models, then studies, each by name. */
export function listPresets(): readonly Preset[] {
  return folders.flatMap(([kind, folder]) => {
    const root = fileURLToPath(new URL(`../../presets/${folder}/`, import.meta.url));
    const files = readdirSync(root).filter((file) => file.endsWith(".yaml"));
    return files.sort().map((file) => ({ name: basename(file, ".yaml"), kind, file: root + file }));
  });
}

export function findPreset(name: string): Preset | undefined {
  return listPresets().find((preset) => preset.name === name);
}

/** Names of the hardware files that come with layermix. */
export function listHardwareNames(): readonly string[] {
  const files = readdirSync(hardwareFolder).filter((file) => file.endsWith(".yaml"));
  return files.map((file) => basename(file, ".yaml")).sort();
}

/** Absolute path of the hardware file of that name; there may be none. */
export function hardwareFile(name: string): string {
  return `${hardwareFolder}${name}.yaml`;
}

/** The first comment line of a preset says in a sentence what it is. */
export function presetSummary(preset: Preset): string {
  const comment = readFileSync(preset.file, "utf8")
    .split("\n")
    .find((line) => line.startsWith("# ") && !/^# (yaml-language-server:|\$schema:)/.test(line));
  return comment?.slice(2).trim() ?? "";
}
