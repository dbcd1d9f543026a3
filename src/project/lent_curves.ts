// Layer kinds with an operation that nobody has measured here, on any device: it takes the curve of the one most like it.

import { blockContext } from "../estimate/layer_groups.js";
import type { DeviceModel } from "./model_operations.js";
import { shapePoint } from "./shape_space.js";

/** The names of those kinds, in the order of their first layers. */
export function kindsWithLentCurves({ plan, groups }: DeviceModel): readonly string[] {
  const context = blockContext(plan);
  const passes = [
    { phase: "decode", batch: 1, context: 1 },
    { phase: "prefill", batch: 1, time: 64 },
  ] as const;
  const lent = groups.filter(({ block, options }) =>
    passes.some((pass) =>
      block.inference(options, context, pass).some(({ operation }) => shapePoint(operation).borrowed),
    ),
  );
  return [...new Set(lent.map(({ kind }) => kind))];
}
