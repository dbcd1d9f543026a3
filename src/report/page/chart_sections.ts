// The sections that are drawn: quality against the swept share, learning curves, accuracy by length, quality against
// memory, and how far short runs can be trusted.

import { verdict } from "../fidelity_text.js";
import { formatBytes, formatCount, formatDuration } from "../format.js";
import type { MeasureKind } from "../measure_text.js";
import type { ReportCandidate, ReportModel } from "../report_model.js";
import { paretoOf } from "../tradeoffs.js";
import { curveChart } from "./curve_chart.js";
import { fidelityChart } from "./fidelity_chart.js";
import { type Html, type HtmlValue, html } from "./html.js";
import { axisFormat, boundsOf, rankedKind } from "./measure_format.js";
import { paretoChart } from "./pareto_chart.js";
import { type SharePoint, shareChart } from "./share_chart.js";

function section(id: string, title: string, note: HtmlValue, charts: readonly Html[], wide = true): Html {
  if (charts.length === 0) return html``;
  return html`<section id="${id}"><h2>${title}</h2><p class="note">${note}</p><div class="charts${wide ? " wide" : ""}">${charts.map(
    (drawn) => html`<figure>${drawn}</figure>`,
  )}</div></section>`;
}

export function shareSection(model: ReportModel): Html {
  const { axis, ranking, candidates } = model;
  if (axis === undefined) return html``;
  const measures = [
    ...(ranking.by === "score" || ranking.by === "loss" ? [ranking.by] : []),
    ...ranking.tasks.map(({ label }) => label),
  ];
  const charts = measures.flatMap((measure) => {
    const task = ranking.tasks.find(({ label }) => label === measure);
    const kind: MeasureKind = task?.primary.name ?? (measure as "score" | "loss");
    const points = candidates.flatMap((candidate) =>
      sharePoint(candidate, task === undefined ? undefined : measure),
    );
    if (points.length === 0) return [];
    const drawn = shareChart(points, {
      xTitle: axis.title,
      xIsShare: axis.isShare,
      title: task === undefined ? measure : `${measure} ${task.primary.title}`,
      direction: task?.primary.direction ?? ranking.direction,
      format: axisFormat(kind),
      bounds: boundsOf(kind),
      confidence: ranking.confidence,
    });
    return [drawn];
  });
  return section(
    "shares",
    `By ${axis.title}`,
    "Dots are means over seeds, small dots single seeds, the band the interval of the mean. Where the band is as tall as the curve, the shape is noise.",
    charts,
    false,
  );
}

/** One candidate on the swept axis, by a task or by the ranked measure. */
function sharePoint(
  { index, study, ranked, axisValue }: ReportCandidate,
  task: string | undefined,
): SharePoint[] {
  const column = task === undefined ? undefined : ranked.tasks[task]!;
  const value = column === undefined ? ranked.score : column.mean;
  if (value === null || axisValue === undefined) return [];
  return [
    {
      candidate: index,
      name: study.name,
      at: axisValue,
      mean: value,
      interval: column === undefined ? ranked.interval : column.interval,
      seeds: column === undefined ? [] : Object.values(column.seeds),
    },
  ];
}

export function curveSection({ tasks, document, candidates }: ReportModel): Html {
  const order = candidates.map(({ index }) => index);
  const charts = tasks.flatMap(({ title, direction, curves, heldOut, label }) => {
    if (curves.length === 0) return [];
    const kind: MeasureKind = heldOut
      ? document.tasks[tasks.findIndex((task) => task.label === label)]!.primary.name
      : "loss";
    const lines = [...curves]
      .sort((a, b) => order.indexOf(a.candidate) - order.indexOf(b.candidate))
      .map(({ candidate, points }) => ({
        candidate,
        name: document.candidates[candidate]!.name,
        points: points.map(({ tokens, mean, low, high }) => ({ x: tokens, y: mean, low, high })),
      }));
    return [
      curveChart(lines, {
        xTitle: "tokens per trial",
        title: `${title} (${direction} is better)`,
        description: `${title} while training, mean over seeds, for ${lines.length} candidates.`,
        formatX: formatCount,
        formatY: axisFormat(kind),
        bounds: boundsOf(kind),
        ...(kind === "accuracy" ? {} : { skipForScale: 0.2 }),
      }),
    ];
  });
  const note =
    "Means over seeds; the shade is from the lowest to the highest seed. Point at a candidate anywhere on this page to see it alone.";
  return section("curves", "While training", note, charts);
}

export function lengthSection({ lengths, document }: ReportModel): Html {
  const charts = lengths.map(({ title, unit, curves }) =>
    curveChart(
      curves.map(({ candidate, points }) => ({
        candidate,
        name: document.candidates[candidate]!.name,
        points: points.map(([x, y]) => ({ x, y })),
      })),
      {
        xTitle: unit,
        title,
        description: `${title} by ${unit}, for ${curves.length} candidates.`,
        formatX: String,
        formatY: axisFormat(title.endsWith("bits/byte") || title.endsWith("loss") ? "loss" : "accuracy"),
        dots: true,
      },
    ),
  );
  return section(
    "lengths",
    "Recall by length",
    "Accuracy as more has to be remembered at once: attention looks back, a recurrent state holds only so much.",
    charts,
  );
}

export function paretoSection(model: ReportModel): Html {
  const { context, serving } = model;
  const memory = paretoFigure(model, ({ cacheBytes }) => cacheBytes, {
    costTitle: `KV cache and state of one sequence of ${tokens(context)}`,
    formatCost: formatBytes,
    costUnitBase: 1024,
  });
  const speed = paretoFigure(model, ({ decodeSeconds }) => decodeSeconds, {
    costTitle:
      serving === undefined
        ? ""
        : `one decode step on ${serving.hardware.name}, batch ${serving.batch}, ${tokens(context)} each`,
    formatCost: formatDuration,
    costUnitBase: 1,
  });
  const charts = [memory, speed].flatMap((drawn) => (drawn === undefined ? [] : [drawn]));
  return section(
    "pareto",
    speed === undefined ? "Quality against memory" : "Quality against memory and decode speed",
    "Filled dots are beaten by nobody in both; a ring marks the knee, where there is one. Memory and speed are those of the model, not of its proxy; speed is projected, not measured (layermix project says how).",
    charts,
  );
}

const tokens = (count: number) => `${count.toLocaleString("en-US")} tokens`;

function paretoFigure(
  model: ReportModel,
  cost: (candidate: ReportCandidate) => number | undefined,
  axis: {
    readonly costTitle: string;
    readonly formatCost: (value: number) => string;
    readonly costUnitBase: number;
  },
): Html | undefined {
  const { ranking } = model;
  const points = paretoOf(model, cost);
  if (points.length < 2) return undefined;
  const largest = Math.max(1, ...points.map(({ candidate }) => cost(candidate)!));
  return paretoChart(
    points.map(({ candidate, onFront, isKnee }) => ({
      candidate: candidate.index,
      name: candidate.study.name,
      cost: cost(candidate)!,
      quality: candidate.ranked.score!,
      interval: candidate.ranked.interval,
      onFront,
      isKnee,
    })),
    {
      costTitle: axis.costTitle,
      qualityTitle: `${ranking.by} (${ranking.direction} is better)`,
      costUnit: axis.costUnitBase ** Math.max(0, Math.floor(Math.log2(largest) / 10)),
      formatCost: axis.formatCost,
      formatQuality: axisFormat(rankedKind(ranking)),
    },
  );
}

export function fidelitySection({ fidelities }: ReportModel): Html {
  const [first] = fidelities;
  if (first === undefined) return html``;
  const { noiseCeiling, baselines, by } = first;
  const told = (value: number | null) => (value === null ? "undefined (all equal)" : value.toFixed(2));
  const rows = baselines.map(({ by: name, kendall, regret }) => {
    const title = { params: "more parameters first", flops: "more FLOPs first", random: "at random" }[name];
    return html`<tr><th scope="row">${title}</th><td class="number">${told(kendall)}</td><td class="number">${regret[1].toPrecision(3)}</td></tr>`;
  });
  return html`<section id="fidelity"><h2>How far short runs can be trusted</h2>
<p class="note">${verdict(first).join(" ")}${noiseCeiling !== null && ` Half of the seeds against the other half agree with tau ${noiseCeiling.toFixed(2)}: no proxy can predict better than that.`}</p>
<div class="charts wide"><figure>${fidelityChart(fidelities)}</figure>
<div class="scroll inner"><table class="plain"><caption>Orders that need no training, by ${by}</caption><thead><tr><th scope="col">order</th><th scope="col" class="number">tau</th><th scope="col" class="number">regret of its first</th></tr></thead><tbody>${rows}</tbody></table></div></div></section>`;
}
