// `layermix explain CODE`: the long form of a message. Without a code: all codes.

import { Args } from "@oclif/core";
import { allCodes, findCode } from "../../diag/catalog.js";
import { similarName } from "../../diag/suggest.js";
import { reflow } from "../../report/wrap.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { usageError } from "../failure.js";

export class Explain extends LayermixCommand {
  static override summary = "Explain a message code.";
  static override description =
    "Every message carries a code such as LMX1203. This prints what it means, why it is refused and what to do.";
  static override examples = ["<%= config.bin %> explain LMX1203", "<%= config.bin %> explain"];
  static override args = {
    code: Args.string({ description: "The code, LMX1203 or 1203; all codes are listed without it." }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args } = await this.parse(Explain);
    if (args.code === undefined) {
      const codes = allCodes().map(([code, entry]) => ({ code, title: entry.title }));
      const text = codes.map(({ code, title }) => `${code}  ${title}`).join("\n");
      return { data: { codes }, text, next: "layermix explain CODE" };
    }
    const found = findCode(args.code);
    if (found === undefined) {
      const hint = similarName(
        "code",
        args.code.toUpperCase(),
        allCodes().map(([code]) => code),
      );
      throw usageError("LMX6009", `Unknown code ${args.code}`, [hint ?? "layermix explain lists all codes"]);
    }
    const [code, entry] = found;
    const help = entry.help === undefined ? "" : `\n\nhelp: ${entry.help}`;
    const width = Math.max(40, Math.min(process.stdout.columns ?? 100, 100));
    return {
      data: { code, ...entry },
      text: reflow(`${code}: ${entry.title}\n\n${entry.explanation}${help}`, width),
    };
  }
}
