// The record: what it cost, what went wrong, what was asked, and how to do it again.

import { formatCount, formatDuration, formatFlops, formatInteger } from "../format.js";
import type { ReportCandidate, ReportModel } from "../report_model.js";
import { runFlags } from "../run_flags.js";
import { type Html, html } from "./html.js";

export function costSection({ candidates }: ReportModel): Html {
  const ordered = [...candidates].sort((a, b) => a.index - b.index);
  const total = (of: (candidate: ReportCandidate) => number) =>
    ordered.reduce((sum, candidate) => sum + of(candidate), 0);
  const rows = ordered.map(
    (candidate) => html`<tr><th scope="row">${candidate.study.name}</th>${cells(candidate)}</tr>`,
  );
  const seconds = candidates.some((candidate) => candidate.seconds !== undefined)
    ? formatDuration(total((candidate) => candidate.seconds ?? 0))
    : "–";
  return html`<section id="costs"><h2>What it cost</h2>
<p class="note">Of the proxies that were trained. Time is that of training steps, added over trials; trials that ran side by side took less of the clock.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Costs"><table class="plain"><thead><tr><th scope="col">candidate</th><th scope="col" class="number">tokens</th><th scope="col" class="number">planned</th><th scope="col" class="number">FLOPs</th><th scope="col" class="number">planned</th><th scope="col" class="number">time</th><th scope="col" class="number">tokens/s</th><th scope="col" class="number">FLOP/s</th></tr></thead><tbody>${rows}</tbody>
<tfoot><tr><th scope="row">all</th><td class="number">${formatCount(total(({ tokens }) => tokens))}</td><td class="number">${formatCount(total(({ plannedTokens }) => plannedTokens))}</td><td class="number">${formatFlops(total(({ flops }) => flops))}</td><td class="number">${formatFlops(total(({ plannedFlops }) => plannedFlops))}</td><td class="number">${seconds}</td><td></td><td></td></tr></tfoot></table></div></section>`;
}

function cells(candidate: ReportCandidate): Html {
  const { tokens, plannedTokens, flops, plannedFlops, seconds, tokensPerSecond, flopsPerSecond } = candidate;
  const values = [
    formatCount(tokens),
    formatCount(plannedTokens),
    formatFlops(flops),
    formatFlops(plannedFlops),
    seconds === undefined ? "–" : formatDuration(seconds),
    tokensPerSecond === undefined ? "–" : formatInteger(tokensPerSecond),
    flopsPerSecond === undefined ? "–" : `${formatFlops(flopsPerSecond)}/s`,
  ];
  return html`${values.map((value) => html`<td class="number">${value}</td>`)}`;
}

/** More than this many problems are counted instead of listed. */
const mostProblems = 100;

export function problemSection({ problems }: ReportModel): Html {
  const listed = problems.slice(0, mostProblems);
  return html`<section id="problems"><h2>What went wrong</h2>${
    problems.length === 0
      ? html`<p>Nothing: no trial diverged or failed, and no candidate was dropped.</p>`
      : html`<ul class="problems">${listed.map(
          ({ where, what, words }) =>
            html`<li><strong>${where}</strong> ${what}${words.length > 0 && html`<pre>${words.join("\n")}</pre>`}</li>`,
        )}</ul>${problems.length > listed.length && html`<p>… and ${problems.length - listed.length} more (layermix status --json lists all).</p>`}`
  }</section>`;
}

export function reproduceSection({ document, builds, source, ranking }: ReportModel): Html {
  const decisions = document.search?.decisions ?? [];
  return html`<section id="reproduce"><h2>What was asked, and how to do it again</h2>
<p class="note">Save the study file below, let <code>relative_to</code> name the folder where its files lie with you, then run this. Equal files and seeds give equal bits with the same build on the same kind of processor.</p>
<pre class="command"><code>layermix sweep study.yaml ${runFlags(document).join(" ")}</code></pre>
<dl class="facts"><div><dt>layermix</dt><dd>${document.layermix}</dd></div>${builds.map((build) => html`<div><dt>native library</dt><dd>${build}</dd></div>`)}<div><dt>seeds</dt><dd>${document.seeds.join(", ")}</dd></div><div><dt>ranked by</dt><dd>${ranking.by}</dd></div></dl>
${document.tasks.map((task) => html`<p class="task">${task.description.map((line) => html`<span>${line}</span>`)}</p>`)}
${decisions.length > 0 && html`<details open><summary>Decisions of the search</summary><ol class="decisions">${decisions.map((line) => html`<li>${line}</li>`)}</ol></details>`}
<details open><summary>study.yaml</summary><pre class="source"><code>${source}</code></pre></details></section>`;
}
