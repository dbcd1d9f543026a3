// The whole page: one file, nothing fetched. Its policy allows exactly the one style sheet and the one script in it, by
// hash, so that even markup that slipped through could not run or load anything.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { endedOf } from "../format.js";
import type { ReportModel } from "../report_model.js";
import {
  curveSection,
  fidelitySection,
  lengthSection,
  paretoSection,
  shareSection,
} from "./chart_sections.js";
import { colorRules } from "./colors.js";
import { headSection } from "./head_section.js";
import { escapeHtml, type Html, html } from "./html.js";
import { rankingSection } from "./ranking_section.js";
import { costSection, problemSection, reproduceSection } from "./record_sections.js";

const assets = new URL("../../../assets/", import.meta.url);
const asset = (name: string) => readFileSync(new URL(name, assets), "utf8").trim();
const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** "file": a page to keep. "live": the page of `layermix watch`, which asks its own server for news. */
export type PageMode = "file" | "live";

export interface Page {
  readonly html: string;
  /** The Content-Security-Policy that the page carries; a server sends the same. */
  readonly policy: string;
}

export function renderPage(model: ReportModel, mode: PageMode = "file"): Page {
  const style = `${asset("report.css")}\n${colorRules(candidatePlaces(model))}`;
  const script = mode === "live" ? `${asset("report.js")}\n${asset("watch.js")}` : asset("report.js");
  const policy = [
    "default-src 'none'",
    `style-src ${hash(style)}`,
    `script-src ${hash(script)}`,
    ...(mode === "live" ? ["connect-src 'self'"] : []),
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const head = [
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${escapeHtml(policy).replaceAll("&#39;", "'")}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="referrer" content="no-referrer">',
    `<title>${escapeHtml(model.document.name)} · layermix</title>`,
    `<style>${style}</style>`,
  ].join("\n");
  const text = `<!doctype html>
<html lang="en">
<head>
${head}
</head>
<body>
${body(model, mode).text}
<script>${script}</script>
</body>
</html>
`;
  return { html: text, policy };
}

/** Where each candidate of the study lies on the colour ramp: by the swept value, else in the study's order. */
function candidatePlaces({ candidates, axis }: ReportModel): readonly number[] {
  const byIndex = [...candidates].sort((a, b) => a.index - b.index);
  const order = [...byIndex].sort((a, b) =>
    axis === undefined ? a.index - b.index : a.axisValue! - b.axisValue! || a.index - b.index,
  );
  return byIndex.map((candidate) => (order.length === 1 ? 0 : order.indexOf(candidate) / (order.length - 1)));
}

function body(model: ReportModel, mode: PageMode): Html {
  const { done, diverged, failed, pruned, total } = model.ranking.trials;
  const ended = done + diverged + failed + pruned;
  const unfinished = ended < total;
  const sections = [
    rankingSection(model),
    shareSection(model),
    paretoSection(model),
    curveSection(model),
    lengthSection(model),
    fidelitySection(model),
    costSection(model),
    problemSection(model),
    reproduceSection(model),
  ];
  const titles: Readonly<Record<string, string>> = {
    ...{ ranking: "Ranking", shares: "By share", pareto: "Memory", curves: "Training", lengths: "Length" },
    ...{ fidelity: "Trust", costs: "Costs", problems: "Problems", reproduce: "Reproduce" },
  };
  const present = Object.entries(titles).filter(([id]) =>
    sections.some(({ text }) => text.startsWith(`<section id="${id}"`)),
  );
  return html`<a class="skip" href="#ranking">Skip to the ranking</a>
<nav class="bar" aria-label="Sections"><ul>${present.map(([id, title]) => html`<li><a href="#${id}">${title}</a></li>`)}</ul><button type="button" id="theme" hidden>theme</button></nav>
<main id="page">${
    unfinished &&
    html`<p class="progress" role="status"><progress max="${total}" value="${ended}"></progress> ${endedOf(ended, total)}; what follows is what is known so far.</p>`
  }
${headSection(model)}
${sections}
<footer><p>${mode === "live" ? "Live from the study folder." : "One file, nothing loaded from elsewhere."} Written by layermix.</p></footer>
</main>
<div id="tip" role="status" hidden></div>`;
}
