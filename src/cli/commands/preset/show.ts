// `layermix preset show NAME`: the text of a preset, to read or to start a study from.

import { readFileSync } from "node:fs";
import { Args } from "@oclif/core";
import { similarName } from "../../../diag/suggest.js";
import { findPreset, listPresets } from "../../../spec/presets.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { usageError } from "../../failure.js";

export class PresetShow extends LayermixCommand {
  static override summary = "Print a preset.";
  static override description =
    "Prints the study file behind a preset, with the comments that name its source.";
  static override examples = ["<%= config.bin %> preset show mamba2-hybrid-8b"];
  static override args = {
    name: Args.string({
      description: "Name of the preset, with or without preset: in front.",
      required: true,
    }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args } = await this.parse(PresetShow);
    const name = args.name.replace(/^preset:/, "");
    const preset = findPreset(name);
    if (preset === undefined) {
      const near = similarName(
        "preset",
        name,
        listPresets().map((known) => known.name),
      );
      throw usageError("LMX6008", `Unknown preset ${name}`, [
        near ?? "layermix preset list shows all presets",
      ]);
    }
    const text = readFileSync(preset.file, "utf8");
    return {
      data: { name, kind: preset.kind, file: preset.file, text },
      text,
      next: `layermix init study.yaml --preset ${name}`,
    };
  }
}
