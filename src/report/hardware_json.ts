// A device as `layermix hardware --json` prints it: plain numbers with their sources, and what is known of each curve.

import { calibrationErrors } from "../project/curve_set.js";
import type { Hardware } from "../project/hardware.js";

/** The measured points stay in the file. */
export function hardwareJson({ calibration, ...hardware }: Hardware) {
  if (calibration === undefined) return { ...hardware, calibration: null };
  const { points, ...origin } = calibration;
  return {
    ...hardware,
    calibration: {
      ...origin,
      points: points.length,
      curves: calibrationErrors({ ...hardware, calibration }),
    },
  };
}
