// The head of a report: what was asked, how far it is, and the answer in plain words.

import { conclusions } from "../conclusion.js";
import { formatCount } from "../format.js";
import type { ReportModel } from "../report_model.js";
import { tradeoffs } from "../tradeoffs.js";
import { type Html, html } from "./html.js";
import { exitWords } from "./progress_words.js";

export function headSection(model: ReportModel): Html {
  const { document, ranking } = model;
  const [first, ...rest] = conclusions(ranking);
  const sentences = [...rest, ...tradeoffs(model)];
  const tokens = model.candidates.reduce((sum, candidate) => sum + candidate.tokens, 0);
  const facts = [
    ["candidates", String(document.candidates.length)],
    ["tasks", ranking.tasks.map(({ label }) => label).join(", ")],
    ["seeds", String(document.seeds.length)],
    ["trials", `${ranking.trials.done} of ${ranking.trials.total} done${exitWords(ranking)}`],
    ["trained on", `${formatCount(tokens)} tokens`],
    ["device", [...new Set([document.device, ...model.devices])].join(", ")],
    ["layermix", document.layermix],
  ];
  return html`<header class="head">
<p class="kicker">layermix study</p>
<h1>${document.name}</h1>
<p class="lead">${first ?? unanswered(model)}</p>
${sentences.length > 0 && html`<ul class="findings">${sentences.map((sentence) => html`<li>${sentence}</li>`)}</ul>`}
<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>`;
}

function unanswered({ document, ranking }: ReportModel): string {
  if (ranking.trials.done === 0) return "Nothing has been measured yet.";
  if (document.seeds.length < 2)
    return "One seed: the order below may be chance. Two or more seeds tell candidates apart.";
  return "Too few candidates have ended to compare them.";
}
