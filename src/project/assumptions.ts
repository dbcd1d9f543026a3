// What a projection takes for granted, in sentences: printed with every result.

import { allReduceSeconds, linkFraction } from "./all_reduce.js";
import { calibrationErrors } from "./curve_set.js";
import type { ElementTypes } from "./element_types.js";
import type { Hardware } from "./hardware.js";

/** In the order in which they matter. */
export function assumptions(
  hardware: Hardware,
  types: ElementTypes,
  ranks: number,
  memoryShare: number,
  {
    reference,
    lent,
  }: {
    readonly reference?: Hardware;
    /** Layer kinds with operations that have no curve of their own. */
    readonly lent: readonly string[];
  },
): readonly string[] {
  const percent = Math.round(memoryShare * 100);
  return [
    utilisation(hardware, reference),
    ...(lent.length === 0
      ? []
      : [
          `${lent.join(", ")}: not measured on any device, utilisation lent by the operations most like theirs, bands are wider`,
        ]),
    `weights ${types.weights} (embedding, head and norms ${hardware.arithmetic}), KV cache ${types.cache}, recurrent state ${types.state}`,
    "a token's time is one step: one token for every sequence of the batch, each attending to the whole context",
    "operations run one after the other on one stream; nothing else uses the device, no scheduling or sampling is counted",
    `weights, caches and states may fill ${percent}% of memory; the rest is for activations`,
    ...(ranks === 1
      ? []
      : [
          `all-reduces over ${hardware.interconnect!.name}: ${(allReduceSeconds * 1e6).toFixed(0)} us and ${Math.round(linkFraction * 100)}% of its bandwidth (assumed, not measured)`,
        ]),
  ];
}

function utilisation(hardware: Hardware, reference?: Hardware): string {
  const { calibration } = hardware;
  if (calibration !== undefined) {
    const errors = calibrationErrors(hardware).map(({ error }) => error);
    const worst = Math.round(Math.max(0, ...errors) * 100);
    const state = calibration.complete ? "" : " (incomplete: it was interrupted)";
    return `utilisation as measured on ${calibration.device}, ${calibration.date}${state}: ${calibration.points.length} shapes, left-out shapes within ${worst}%`;
  }
  if (reference?.calibration !== undefined && reference.arithmetic === hardware.arithmetic) {
    return `nobody has calibrated ${hardware.name}: utilisation carried over from ${reference.name}, so bands are wider`;
  }
  return `nobody has calibrated ${hardware.name}: utilisation assumed from public measurements, so bands are wide; run layermix calibrate`;
}
