// The fidelity table for people: one line per share of a run, then the rulers beside it, then what it says.

import { printable } from "../diag/display_width.js";
import type { WithInterval } from "../rank/fidelity.js";
import { type Fidelity, goodTau } from "../rank/fidelity_study.js";
import { formatCount, formatDuration, formatFlops, formatShare } from "./format.js";
import { type Column, renderTable, type TableOptions } from "./text_table.js";

/** The whole text, without a final newline. */
export function fidelityText(fidelity: Fidelity, options: TableOptions): string {
  const right = (title: string, dropOrder: number): Column => ({ title, align: "right", dropOrder });
  const columns = [
    right("share", 0),
    right("tokens", 2),
    right("FLOPs", 4),
    right("time", 3),
    right("tau-b", 0),
    right(`${formatShare(fidelity.confidence)} interval`, 0),
    right("rho", 1),
    right("regret@1", 0),
    right("regret@3", 5),
    right("top 3", 1),
    right("pairs", 0),
    right("extrapolated tau", 6),
  ];
  const rows = fidelity.rows.map((row) => ({
    cells: [
      formatShare(row.share),
      formatCount(row.tokens),
      formatFlops(row.flops),
      row.seconds === null ? "-" : formatDuration(row.seconds),
      decimal(row.kendall.value),
      intervalText(row.kendall),
      decimal(row.spearman.value),
      amount(row.regret[1].value),
      amount(row.regret[3].value),
      row.overlap[3].value === null ? "-" : formatShare(row.overlap[3].value),
      `${row.pairs.same}/${row.pairs.total}`,
      decimal(row.extrapolatedKendall),
    ],
  }));
  const text = renderTable(columns, rows, options);
  const parts = [text, "", ...rulers(fidelity), "", ...verdict(fidelity), ...forecastLines(fidelity)];
  return [heading(fidelity), "", ...parts].map(printable).join("\n");
}

function heading({ study, against, ownRuns, by, candidates, seeds }: Fidelity): string {
  const truth = ownRuns ? "its own full runs" : `the full runs of ${against}`;
  return `${study} against ${truth}, by ${by}: ${candidates.length} candidates, ${seeds.study} seeds`;
}

function rulers({ baselines, noiseCeiling, excluded }: Fidelity): readonly string[] {
  const names = { params: "larger first", flops: "more FLOPs first", random: "at random" };
  return [
    ...baselines.map(
      ({ by, kendall, regret }) =>
        `${names[by]}: ${kendall === null ? "all are equal, no order" : `tau ${decimal(kendall)}`}, regret@1 ${amount(regret[1])}`,
    ),
    noiseCeiling === null
      ? "one seed: how far the order is noise cannot be said"
      : `half of the seeds against the other half: tau ${decimal(noiseCeiling)}; no proxy can be trusted beyond that`,
    "pairs: those that the full runs tell apart, and how many come out the same way",
    ...excluded.map(({ candidate, reason }) => `left out ${candidate}: ${reason}`),
  ];
}

/** What the table says about length, in words. */
export function verdict({ rows, shortest, ownRuns, noiseCeiling }: Fidelity): readonly string[] {
  const lines: string[] = [];
  const end = rows.at(-1)!;
  if (ownRuns && rows.length === 1) {
    return ["Only the ends were evaluated: set proxy.evaluate_every (for example 5%) to see shorter runs."];
  }
  if (shortest === null) lines.push(`No length reaches tau ${goodTau} and stays there.`);
  else if (shortest === 1 && ownRuns) lines.push(`Only the full run keeps tau at ${goodTau} or above.`);
  else {
    const tokens = rows.find(({ share }) => share === shortest)!.tokens;
    lines.push(
      `From ${formatShare(Math.round(shortest * 100) / 100)} of the run on (${formatCount(tokens)} tokens of ${formatCount(end.tokens)}), tau stays at ${goodTau} or above.`,
    );
  }
  if (noiseCeiling !== null && noiseCeiling < goodTau - 1e-9) {
    lines.push("The full runs do not agree with themselves that well: more seeds before shorter runs.");
  }
  if (ownRuns) {
    lines.push(
      "These are the same runs cut short: their learning rate had not decayed as in a run planned that short.",
    );
  }
  return lines;
}

/** Where the curves would be after twice the run; one line for all where none can be continued for the same reason. */
function forecastLines({ forecasts, rows, confidence }: Fidelity): readonly string[] {
  if (rows.length === 1) return [];
  const lines = forecasts.map(({ candidate, forecast }) =>
    forecast.kind === "none"
      ? `  ${candidate}: no forecast, ${forecast.reason}`
      : `  ${candidate}: ${amount(forecast.value)}, ${amount(forecast.interval[0])} to ${amount(forecast.interval[1])} (${forecast.family})`,
  );
  return ["", `After twice the tokens, by extrapolation (${formatShare(confidence)}):`, ...lines];
}

function decimal(value: number | null): string {
  // Never "-0.00".
  return value === null ? "-" : (Math.round(value * 100) / 100 + 0).toFixed(2);
}

function intervalText({ interval }: WithInterval): string {
  return interval === null ? "-" : `${decimal(interval[0])} to ${decimal(interval[1])}`;
}

function amount(value: number | null): string {
  return value === null
    ? "-"
    : value === 0
      ? "0"
      : Math.abs(value) < 100
        ? value.toPrecision(3)
        : value.toFixed(0);
}
