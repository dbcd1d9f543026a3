// How early the order of the candidates is the final one: tau over the share of the run, one line per measure.

import { type Fidelity, goodTau } from "../../rank/fidelity_study.js";
import { formatShare } from "../format.js";
import { bandPath, chart, frameOf, linePath, spreadLabels } from "./chart.js";
import { type Html, html } from "./html.js";
import { linearScale } from "./scale.js";

/** More lines than this cannot be told apart by their dashes. */
const mostMeasures = 4;

/** The first measure is the one that the study ranks by; its band is the interval over seeds. */
export function fidelityChart(fidelities: readonly Fidelity[]): Html {
  const frame = frameOf(560, 310, 150);
  const [first] = fidelities;
  const lines = fidelities.slice(0, mostMeasures).map(({ by, rows }) => ({
    by,
    points: rows.flatMap(({ share, kendall }) =>
      kendall.value === null ? [] : [{ share, ...kendall, value: kendall.value }],
    ),
  }));
  const options = {
    from: frame.left,
    to: frame.width - frame.right,
    ticks: 5,
    format: formatShare,
    margin: 0,
  };
  const x = linearScale([0, 1], options);
  const lowest = Math.min(0, ...lines.flatMap(({ points }) => points.map(({ value }) => value)));
  const y = linearScale([lowest, 1], {
    ...{ from: frame.height - frame.bottom, to: frame.top, ticks: 5, margin: 0.02 },
    format: (value) => value.toFixed(1),
  });
  const inside = (value: number) => y.at(Math.max(y.low, value));
  const banded =
    lines[0]?.points.flatMap(({ share, interval }) => (interval === null ? [] : [{ share, interval }])) ?? [];
  const labels = spreadLabels(
    lines.map(({ points }) => inside(points.at(-1)?.value ?? 0)),
    16,
    frame.top + 4,
    frame.height - frame.bottom,
  );
  const marks = html`<path class="goal" d="M${frame.left} ${y.at(goodTau)}H${frame.width - frame.right}"/><path class="spread plain" d="${bandPath(
    banded.map(({ share, interval }) => [x.at(share), inside(interval[1])] as const),
    banded.map(({ share, interval }) => [x.at(share), inside(interval[0])] as const),
  )}"/>${lines.map(
    ({ by, points }, i) =>
      html`<path class="measure m${i}" d="${linePath(points.map(({ share, value }) => [x.at(share), inside(value)] as const))}"/><path class="measure m${i}" d="M${frame.width - frame.right + 10} ${labels[i]!}h22"/><text class="name" x="${frame.width - frame.right + 37}" y="${Math.round(labels[i]! + 3.5)}">${by}</text>`,
  )}`;
  return chart({
    ...{ frame, x, y, marks },
    xTitle: "share of the run",
    yTitle: "Kendall's tau-b against the full runs",
    description: `Agreement of the order of candidates with the final one along the run, for ${fidelities.map(({ by }) => by).join(", ")}.${
      first?.shortest == null
        ? ""
        : ` By ${first.by} it stays at ${goodTau} or above from ${formatShare(first.shortest)} on.`
    }`,
  });
}
