// `layermix hardware list`: the devices that come with layermix.

import { loadAllHardware } from "../../../project/load_hardware.js";
import { hardwareJson } from "../../../report/hardware_json.js";
import { hardwareTable } from "../../../report/hardware_text.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";

export class HardwareList extends LayermixCommand {
  static override summary = "List the devices that layermix can project onto.";
  static override description =
    "Memory, bandwidth, dense peak rates and interconnect of each device, and whether its utilisation was measured. " +
    "A file that layermix calibrate writes can stand wherever a name can.";
  static override examples = ["<%= config.bin %> hardware list", "<%= config.bin %> hardware list --json"];

  protected override async execute(): Promise<CommandResult> {
    await this.parse(HardwareList);
    const devices = await loadAllHardware();
    const width = Math.max(60, Math.min(process.stdout.columns ?? 110, 140));
    return {
      data: { hardware: devices.map(hardwareJson) },
      text: hardwareTable(devices, { color: this.color, width }),
      next: "layermix hardware show h200",
    };
  }
}
