// The ranking: every candidate with its strip, its mean on a common scale, what it is tied with, and its costs. Columns sort
// by their headings; what a cell sorts by is in data-sort, so that formats stay for people.

import { formatBytes, formatCount, formatLength, formatShare } from "../format.js";
import { formatEstimate, formatMeasure } from "../measure_text.js";
import type { ReportCandidate, ReportModel } from "../report_model.js";
import { type Html, type HtmlValue, html } from "./html.js";
import { rankedKind } from "./measure_format.js";
import { layerStrip, stripLegend } from "./strip.js";
import { whiskers } from "./whisker.js";

interface Column {
  readonly title: string;
  readonly kind: "text" | "number";
  readonly cell: (
    candidate: ReportCandidate,
    row: number,
  ) => { readonly show: HtmlValue; readonly sort: string | number | null };
}

export function rankingSection(model: ReportModel): Html {
  const { ranking, candidates, document } = model;
  const drawn = whiskers(
    candidates.map(({ index, ranked }) => ({
      candidate: index,
      value: ranked.score,
      interval: ranked.interval,
    })),
  );
  const columns = columnsOf(model, drawn);
  const oneSeed = document.seeds.length === 1;
  const percent = formatShare(ranking.confidence);
  return html`<section id="ranking"><h2>Ranking</h2>
<p class="note">${ranking.formula}. ${
    oneSeed
      ? "One seed, so no intervals and every candidate counts as tied."
      : `Means over ${document.seeds.length} seeds with ${percent} intervals (Student's t). Candidates that share a letter under “ties” cannot be told apart: paired t-test over seeds, Holm's correction over all pairs.`
  }</p>
${stripLegend(document.candidates.map(({ pattern }) => pattern))}
<div class="scroll" tabindex="0" role="region" aria-label="Ranking table"><table class="ranking" data-sortable><thead><tr>${columns.map(
    ({ title, kind }, i) =>
      html`<th scope="col" class="${kind}"${i === 0 && html` aria-sort="ascending"`}><button type="button">${title}</button></th>`,
  )}</tr></thead><tbody>${candidates.map(
    (candidate, row) =>
      html`<tr data-c="${candidate.index}" class="state-${candidate.ranked.state}">${columns.map(
        (column, i) => {
          const { show, sort } = column.cell(candidate, row);
          const tag = html` class="${column.kind}" data-sort="${sort ?? ""}"`;
          return i === 1 ? html`<th scope="row"${tag}>${show}</th>` : html`<td${tag}>${show}</td>`;
        },
      )}</tr>`,
  )}</tbody></table></div></section>`;
}

function columnsOf(model: ReportModel, drawn: readonly Html[]): readonly Column[] {
  const { ranking, candidates } = model;
  const kind = rankedKind(ranking);
  const some = (of: (candidate: ReportCandidate) => unknown) =>
    candidates.some((candidate) => of(candidate) !== undefined);
  const number = (
    title: string,
    value: (c: ReportCandidate) => number | null | undefined,
    format: (n: number) => string,
  ): Column => ({
    title,
    kind: "number",
    cell: (candidate) => {
      const found = value(candidate) ?? null;
      return { show: found === null ? "–" : format(found), sort: found };
    },
  });
  return [
    {
      title: "#",
      kind: "number",
      cell: ({ ranked }, row) => ({ show: rankText(model, ranked.rank), sort: ranked.rank ?? row + 1 }),
    },
    {
      title: "candidate",
      kind: "text",
      cell: ({ index, study, axisValue }) => ({
        show: html`<span class="swatch c${index}"></span>${study.name}`,
        sort: axisValue ?? study.name,
      }),
    },
    {
      title: "layers",
      kind: "text",
      cell: ({ ranked }) => ({ show: layerStrip(ranked.pattern, 260), sort: ranked.pattern }),
    },
    {
      title: ranking.by,
      kind: "number",
      cell: ({ ranked }, row) => ({
        show: html`${drawn[row]}<span class="score">${scoreText(ranked, kind)}</span>`,
        sort: ranked.score,
      }),
    },
    { title: "ties", kind: "text", cell: ({ letters }) => ({ show: letters, sort: letters }) },
    {
      title: "behind the best",
      kind: "number",
      cell: ({ ranked: { behindBest } }) => ({
        show:
          behindBest === null
            ? "–"
            : formatEstimate(kind, { mean: behindBest.mean, interval: behindBest.interval }),
        sort: behindBest?.mean ?? 0,
      }),
    },
    ...ranking.tasks.map(
      ({ label, primary }): Column => ({
        title: `${label} ${primary.title}`,
        kind: "number",
        cell: ({ ranked }) => {
          const column = ranked.tasks[label]!;
          return { show: formatEstimate(primary.name, column), sort: column.mean };
        },
      }),
    ),
    number("params", ({ ranked }) => ranked.params, formatCount),
    ...(some(({ cacheBytes }) => cacheBytes)
      ? [number(`cache at ${formatLength(model.context)}`, ({ cacheBytes }) => cacheBytes, formatBytes)]
      : []),
  ];
}

function rankText({ ranking }: ReportModel, rank: number | null): string {
  if (rank === null) return "–";
  const shared = ranking.ranking.filter((entry) => entry.rank === rank).length > 1;
  return shared ? `${rank}=` : String(rank);
}

function scoreText(ranked: ReportCandidate["ranked"], kind: Parameters<typeof formatMeasure>[0]): HtmlValue {
  if (ranked.score !== null) {
    const text = formatEstimate(kind, { mean: ranked.score, interval: ranked.interval });
    return ranked.state === "partial" ? html`${text} <em>partial</em>` : text;
  }
  if (ranked.prunedAt === undefined) return html`<em>${ranked.state}</em>`;
  const value = ranked.prunedAt.value === null ? "" : ` with ${formatMeasure(kind, ranked.prunedAt.value)}`;
  return html`<em>stopped at ${formatShare(ranked.prunedAt.share)}${value}</em>`;
}
