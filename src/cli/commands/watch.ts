// `layermix watch`: the report of a study, live in a browser while it runs.

import { once } from "node:events";
import { Args, Flags } from "@oclif/core";
import { LayermixError } from "../../diag/diagnostic.js";
import { renderPage } from "../../report/page/page.js";
import { readStudy } from "../../study/study_document.js";
import { studyVersion } from "../../study/study_version.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { usageError } from "../failure.js";
import { withStopSignals } from "../signals.js";
import { studyReport, studyServing } from "../study_report.js";
import { startWatchServer } from "../watch_server.js";

/** A page is made again at most this often, however many ask. */
const freshMilliseconds = 3_000;

export class Watch extends LayermixCommand {
  static override summary = "Show the report of a study live in a browser while it runs.";
  static override description =
    "Serves the page that layermix report writes, on 127.0.0.1 alone, and renews it as trials move on. It reads the " +
    "folder and changes nothing: start and stop it as you like, beside a sweep or after it. Ctrl-C ends it.";
  static override examples = [
    "<%= config.bin %> watch layermix-studies/attention-share",
    "<%= config.bin %> watch layermix-studies/attention-share --port 8100 --by recall",
  ];
  static override args = {
    dir: Args.string({ description: "Study folder, as written by layermix sweep.", required: true }),
  };
  static override flags = {
    port: Flags.integer({
      description: "Port to listen on; a free one when absent. Example: --port 8100",
      helpValue: "NUMBER",
      default: 0,
      min: 0,
      max: 65_535,
    }),
    by: Flags.string({
      description: "Measure to rank by: score, loss, or a task of the study. Example: --by recall",
      helpValue: "MEASURE",
    }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(Watch);
    const { name } = readStudy(args.dir);
    const serving = await studyServing(args.dir);
    const render = () => renderPage(studyReport(args.dir, flags.by, serving), "live");
    // A wrong --by or a damaged folder is said here, before a browser is sent anywhere.
    render();
    const options = {
      port: flags.port,
      render,
      version: heldFor(freshMilliseconds, () => studyVersion(args.dir)),
      onError: (error: unknown) => this.note(error instanceof LayermixError ? error.message : String(error)),
    };
    const { server, url } = await startWatchServer(options).catch((error: NodeJS.ErrnoException) => {
      throw usageError(
        "LMX6012",
        `Expected to listen on port ${flags.port}, got ${error.code ?? error.message}`,
        ["Choose another --port, or leave it out: a free one is taken."],
      );
    });
    this.note(`${name}: ${url} (Ctrl-C ends it)`);
    await withStopSignals(
      () => {},
      async ({ stop }) => {
        if (!stop.aborted) await once(stop, "abort");
      },
    );
    server.closeAllConnections();
    server.close();
    return { data: { folder: args.dir, name, url }, text: "" };
  }
}

/** The value of `read`, asked again only after so many milliseconds. */
function heldFor(milliseconds: number, read: () => string): () => string {
  let value = "";
  let readAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (now - readAt >= milliseconds) {
      value = read();
      readAt = now;
    }
    return value;
  };
}
