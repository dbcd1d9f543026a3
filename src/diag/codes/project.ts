// Codes 24xx: projections of inference that cannot be made.

import type { CodeTable } from "../code_table.js";

export const projectCodes: CodeTable = {
  LMX2401: {
    title: "Layer that cannot be divided among devices",
    explanation: `Tensor parallelism gives every device an equal slice of each layer: heads of attention and of Mamba-2,
groups of Mamba-2, channels of an MLP. Each number has to be a multiple of the number of devices; key heads
may be fewer than devices, and are then held several times.`,
    help: "Use a number of devices that divides them all.",
  },
  LMX2402: {
    title: "More devices than the interconnect joins",
    explanation: `Tensor parallelism needs devices that reach each other; the hardware file says how many its interconnect
joins. Across hosts nothing is projected.`,
    help: "Use fewer devices; layermix hardware show NAME names the interconnect.",
  },
};
