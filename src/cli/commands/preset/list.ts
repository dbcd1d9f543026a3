// `layermix preset list`: the models and studies that come with layermix.

import { listPresets, presetSummary } from "../../../spec/presets.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";

export class PresetList extends LayermixCommand {
  static override summary = "List the presets.";
  static override description =
    "Presets are study files that come with layermix; preset:NAME works wherever a file does.";
  static override examples = ["<%= config.bin %> preset list"];

  protected override async execute(): Promise<CommandResult> {
    await this.parse(PresetList);
    const presets = listPresets().map((preset) => ({
      name: preset.name,
      kind: preset.kind,
      summary: presetSummary(preset),
    }));
    const width = Math.max(...presets.map(({ name }) => name.length));
    const lines = presets.map(
      ({ name, kind, summary }) => `${name.padEnd(width)}  ${kind.padEnd(5)}  ${summary}`,
    );
    return { data: { presets }, text: lines.join("\n"), next: "layermix plan preset:NAME" };
  }
}
