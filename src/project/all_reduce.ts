// The time of summing activations over tensor-parallel devices: each device sends (and receives) 2 (n - 1) / n of the
// bytes, as a ring or a reduce-scatter with an all-gather does, after a fixed delay. Not calibrated: both constants are
// assumptions, named in the output.

import type { Interconnect } from "./hardware.js";

/** Delay of a small all-reduce among the devices of one host. */
export const allReduceSeconds = 8e-6;
/** Part of the interconnect's bandwidth that large all-reduces reach. */
export const linkFraction = 0.8;
/** How far off the model may be. */
export const allReduceError = 0.4;

/** Seconds to sum `bytes` over `devices`. */
export function allReduceTime(bytes: number, devices: number, interconnect: Interconnect): number {
  const sent = (2 * (devices - 1) * bytes) / devices;
  return allReduceSeconds + sent / (interconnect.bandwidth.value * linkFraction);
}
