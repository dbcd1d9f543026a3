// A mean with its interval on a scale that all rows of a table share, so that the column reads as a plot.

import { type Html, html } from "./html.js";
import { linearScale } from "./scale.js";

export interface Whisker {
  readonly candidate: number;
  readonly value: number | null;
  readonly interval: readonly [number, number] | null;
}

const width = 150;

/** One drawing per row, in order; an empty one where nothing is known. */
export function whiskers(rows: readonly Whisker[]): readonly Html[] {
  const known = rows.flatMap(({ value, interval }) => (value === null ? [] : [value, ...(interval ?? [])]));
  const scale = linearScale(known, { from: 6, to: width - 6, ticks: 3, format: String, margin: 0 });
  return rows.map(({ candidate, value, interval }) =>
    value === null
      ? html``
      : html`<svg class="whisker c${candidate}" viewBox="0 0 ${width} 18" width="${width}" height="18" aria-hidden="true"><path class="rail" d="M2 9H${width - 2}"/>${
          interval !== null &&
          html`<path class="span" d="M${scale.at(interval[0])} 9H${scale.at(interval[1])}"/>`
        }<circle cx="${scale.at(value)}" cy="9" r="4.5"/></svg>`,
  );
}
