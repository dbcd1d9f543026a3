// `layermix status`: what a study folder says about its trials, whoever runs them.

import { Args } from "@oclif/core";
import { columns } from "../../report/columns.js";
import { endedOf, formatCount } from "../../report/format.js";
import { runFlags } from "../../report/run_flags.js";
import { identifyProcess } from "../../study/process_identity.js";
import type { StudyDocument } from "../../study/study_document.js";
import { studyLayout } from "../../study/study_layout.js";
import { readStudyStatus, type StudyStatus } from "../../study/study_status.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { commandLine, nextCommand } from "../next_command.js";
import { clockTime } from "../progress/clock_time.js";
import { trialNames } from "../progress/trial_names.js";

export class Status extends LayermixCommand {
  static override summary = "Show how far the trials of a study folder are.";
  static override description =
    "Counts the trials by state and shows who runs which, with progress and heartbeat. Reads files only: it works while " +
    "a sweep is running, and from any machine that sees the folder.";
  static override examples = [
    "<%= config.bin %> status layermix-studies/quickstart",
    "<%= config.bin %> status layermix-studies/quickstart --json",
  ];
  static override args = {
    folder: Args.string({ description: "Study folder, as written by sweep or train.", required: true }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args } = await this.parse(Status);
    const status = readStudyStatus(args.folder, identifyProcess(), Date.now());
    const { document, counts, total } = status;
    const names = trialNames(document);
    const named = (id: string): Record<string, unknown> => {
      const [candidate, task, seed] = names.get(id) ?? [id, "?", "?"];
      return { id, candidate, task, seed: Number(seed.replace("seed ", "")) };
    };
    return {
      data: {
        folder: args.folder,
        name: document.name,
        trials: { ...counts, total },
        tokens: { done: status.tokensDone, total: status.tokensTotal },
        etaSeconds: status.etaSeconds,
        search: document.search,
        running: status.running.map((trial) => ({ ...named(trial.id), ...trial })),
        failed: status.failures.map(({ id, code, message, stderr }) => ({
          ...named(id),
          code,
          message,
          stderr,
        })),
      },
      text: statusText(status, names),
      ...whatNext(status, args.folder),
    };
  }
}

/** What to do next: rank what is finished, or go on with a sweep that is not, as the folder says it ran. */
function whatNext({ document, counts, total }: StudyStatus, folder: string): { readonly next?: string } {
  if (endedTrials(counts) === total && document.search.over) return nextCommand("rank", folder);
  if (document.spec.sweep === undefined || counts.running > 0) return {};
  const words = ["layermix", "sweep", studyLayout.source(folder), ...runFlags(document), "--out", folder];
  return { next: commandLine(words) };
}

/** Trials that nothing more is asked of. */
function endedTrials({ done, diverged, failed, oom, killed, pruned }: StudyStatus["counts"]): number {
  return done + diverged + failed + oom + killed + pruned;
}

/** How far candidates have got, what was decided last, and the budget. */
function searchLines({ search, candidates, tasks, trials }: StudyDocument): string[] {
  const lines: string[] = [];
  const { strategy, rungs, decisions, over, budget } = search;
  if (rungs.length > 1) {
    const reached = candidates.map((_, candidate) => rungOf(candidate));
    const counts = rungs.map((share, rung) => {
      const there = reached.filter((at) => at !== undefined && at >= rung).length;
      return `${there} at ${Number((share * 100).toFixed(1))}%`;
    });
    lines.push(`  ${strategy}: of ${candidates.length} candidates ${counts.join(", ")} of the full run`);
  }
  if (decisions.length > 1)
    lines.push(`  decision ${decisions.length}${over ? ", the last" : ""}: ${decisions.at(-1)}`);
  if (budget !== undefined) {
    const asked = budget.asked === null ? "" : `${formatCount(budget.asked)} of `;
    const left = budget.exhausted ? "; it leaves trials out" : "";
    lines.push(`  budget: ${asked}${formatCount(budget.limit)} ${budget.unit}${left}`);
  }
  return lines;

  /** The rung a candidate was sent to: where its trials stop. */
  function rungOf(candidate: number): number | undefined {
    const own = trials.filter((trial) => trial.candidate === candidate);
    if (own.length === 0) return undefined;
    const target = own[0]!.until;
    if (target === undefined) return rungs.length - 1;
    return tasks[own[0]!.task]!.rungs.indexOf(target);
  }
}

function statusText(status: StudyStatus, names: ReadonlyMap<string, readonly string[]>): string {
  const { document, counts, total, running, failures, tokensDone, tokensTotal, etaSeconds } = status;
  const name = (id: string): string => (names.get(id) ?? [id]).join("  ");
  const states = Object.entries(counts).filter(([, count]) => count > 0);
  const share = tokensTotal === 0 ? 1 : tokensDone / tokensTotal;
  const lines = [
    `${document.name}: ${endedOf(endedTrials(counts), total)}`,
    `  ${states.map(([state, count]) => `${count} ${state}`).join(", ")}`,
    `  ${formatCount(tokensDone)} of ${formatCount(tokensTotal)} tokens (${Math.floor(share * 100)}%)` +
      (etaSeconds === null ? "" : `, about ${clockTime(etaSeconds)} to go`),
  ];
  lines.push(...searchLines(document));
  if (running.length > 0) {
    const rows = running.map((trial) => [
      `  ${name(trial.id)}`,
      `step ${trial.step}/${trial.steps}`,
      trial.loss === null ? "" : `loss ${trial.loss.toFixed(4)}`,
      trial.owner === null ? "" : `process ${trial.owner.pid} on ${trial.owner.host}`,
      `heartbeat ${trial.heartbeatSeconds.toFixed(0)} s ago`,
    ]);
    lines.push("running:", columns(rows, ["left", "left", "left", "left", "left"]));
  }
  if (failures.length > 0) {
    lines.push("failed:", ...failures.map(({ id, code, message }) => `  ${name(id)}: ${code} ${message}`));
  }
  return lines.join("\n");
}
