// `layermix preset list`: the models and studies that come with layermix, the models with their sizes.

import { estimate } from "../../../estimate/estimate.js";
import { plan } from "../../../plan/plan.js";
import { type ListedPreset, type PresetSize, presetTable } from "../../../report/preset_table.js";
import { loadStudy } from "../../../spec/load_study.js";
import { listPresets, type Preset, presetSummary } from "../../../spec/presets.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";

export class PresetList extends LayermixCommand {
  static override summary = "List the presets.";
  static override description =
    "Presets are study files that come with layermix; preset:NAME works wherever a file does. Models are listed with their " +
    "layers by symbol (layermix explain LMX1207 names the symbols), parameters in all and active per token, KV cache per " +
    "token and recurrent state per sequence in 16 bits.";
  static override examples = ["<%= config.bin %> preset list", "<%= config.bin %> preset list --json"];

  protected override async execute(): Promise<CommandResult> {
    await this.parse(PresetList);
    const presets: ListedPreset[] = [];
    for (const preset of listPresets()) {
      const listed = { name: preset.name, kind: preset.kind, summary: presetSummary(preset) };
      presets.push(preset.kind === "model" ? { ...listed, size: await sizeOf(preset) } : listed);
    }
    const width = Math.max(40, Math.min(process.stdout.columns ?? 110, 130));
    const data = presets.map(({ size, ...listed }) => ({ ...listed, ...size }));
    return {
      data: { presets: data },
      text: presetTable(presets, { color: this.color, width }),
      next: "layermix plan preset:NAME",
    };
  }
}

async function sizeOf({ name }: Preset): Promise<PresetSize> {
  const { spec } = await loadStudy(`preset:${name}`);
  const planned = plan(spec);
  const { params, memory } = estimate(planned);
  return {
    pattern: planned.pattern,
    layers: planned.layers.length,
    hidden: planned.hidden,
    counts: planned.counts,
    params: { total: params.total, active: params.active },
    kvBytesPerToken: memory.kvBytesPerToken,
    windowBytesPerSequence: memory.windowBytesPerSequence,
    stateBytesPerSequence: memory.stateBytesPerSequence,
  };
}
