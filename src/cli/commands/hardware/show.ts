// `layermix hardware show NAME`: every number of a device with where it comes from.

import { Args } from "@oclif/core";
import { loadHardware } from "../../../project/load_hardware.js";
import { hardwareJson } from "../../../report/hardware_json.js";
import { hardwareText } from "../../../report/hardware_text.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { commandLine } from "../../next_command.js";

export class HardwareShow extends LayermixCommand {
  static override summary = "Show a device with the source of every number.";
  static override description =
    "Datasheet numbers, measured ceilings, and, where it was calibrated, how well each operation's utilisation is known: " +
    "the error of measured shapes when they are predicted from the others.";
  static override examples = [
    "<%= config.bin %> hardware show h200",
    "<%= config.bin %> hardware show my-gpu.yaml --json",
  ];
  static override args = {
    name: Args.string({ description: "Name of a device, or a hardware file.", required: true }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args } = await this.parse(HardwareShow);
    const hardware = await loadHardware(args.name);
    const width = Math.max(60, Math.min(process.stdout.columns ?? 110, 140));
    return {
      data: hardwareJson(hardware),
      text: hardwareText(hardware, { color: this.color, width }),
      next: commandLine(["layermix", "project", "preset:mamba2-hybrid-8b", "--hardware", args.name]),
    };
  }
}
