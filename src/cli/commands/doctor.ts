// `layermix doctor`: what this machine has, what is missing, and how to fix it.

import { type CommandResult, LayermixCommand } from "../base_command.js";
import { machineChecks } from "../doctor_checks.js";

export class Doctor extends LayermixCommand {
  static override summary = "Explain this machine.";
  static override description =
    "Checks Node, cores, memory, disk, the native library and the terminal. Every line is ok or says " +
    "what to do. Nothing is changed.";
  static override examples = ["<%= config.bin %> doctor", "<%= config.bin %> doctor --json"];

  protected override async execute(): Promise<CommandResult> {
    await this.parse(Doctor);
    const checks = machineChecks({ environment: process.env, stdout: process.stdout, folder: process.cwd() });
    const width = Math.max(...checks.map(({ name }) => name.length));
    const lines = checks.flatMap(({ status, name, found, fix }) => [
      `${status.padEnd(4)}  ${name.padEnd(width)}  ${found}`,
      ...(fix === undefined ? [] : [`${" ".repeat(width + 8)}fix: ${fix}`]),
    ]);
    return { data: { ok: checks.every(({ status }) => status === "ok"), checks }, text: lines.join("\n") };
  }
}
