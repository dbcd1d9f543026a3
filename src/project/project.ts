// Plan x hardware -> projection: how fast a model answers and how much memory it takes, over contexts, beside a
// baseline. docs/project.md defines every number.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { Plan } from "../plan/plan_types.js";
import { assumptions } from "./assumptions.js";
import { crossoverContext } from "./crossover.js";
import { type CurveSet, createCurveSet } from "./curve_set.js";
import type { ElementTypes } from "./element_types.js";
import { defaultTypes } from "./element_types.js";
import { defaultMemoryShare, type Footprint, footprint, largestBatch } from "./footprint.js";
import type { Hardware } from "./hardware.js";
import { kindsWithLentCurves } from "./lent_curves.js";
import { type DeviceModel, deviceModel } from "./model_operations.js";
import { type PassTime, passTime } from "./pass_time.js";
import type { Projection, ProjectionPoint, SpeedupAt } from "./projection.js";

export interface ProjectOptions {
  readonly hardware: Hardware;
  /** Calibrated device whose utilisation stands in where `hardware` has none. */
  readonly reference?: Hardware;
  readonly contexts: readonly number[];
  /** Sequences decoded at the same time. */
  readonly batch: number;
  readonly types?: Partial<ElementTypes>;
  /** Tensor-parallel devices; 1 by default. */
  readonly ranks?: number;
  /** Part of device memory that may be filled; 0.9 by default. */
  readonly memoryShare?: number;
  readonly baseline?: Plan;
}

/** A model on a device, ready to be asked for times. */
export interface Served {
  readonly model: DeviceModel;
  readonly print: Footprint;
  decode(context: number): PassTime;
  prefill(time: number): PassTime;
}

/** What does not depend on the model: device, types, curves. */
interface Setting {
  readonly hardware: Hardware;
  readonly types: ElementTypes;
  readonly curves: CurveSet;
  readonly ranks: number;
  readonly batch: number;
  readonly memoryShare: number;
}

/**
 * Projects a plan.
 * @throws LayermixError LMX2401 (a layer that cannot be divided), LMX2402 (devices that are not connected)
 */
export function project(plan: Plan, options: ProjectOptions): Projection {
  const setting = settingOf(options);
  const served = serve(plan, setting);
  const baseline = options.baseline === undefined ? undefined : serve(options.baseline, setting);
  const { hardware, types, ranks, batch } = setting;
  return {
    name: plan.name,
    hardware: hardware.id,
    batch,
    tensorParallel: ranks,
    types,
    weightBytes: served.print.weightBytes,
    kvBytesPerToken: served.print.kvBytesPerToken,
    stateBytesPerSequence: served.print.stateBytesPerSequence,
    points: options.contexts.map((context) => point(served, context, setting, baseline)),
    ...(baseline === undefined
      ? {}
      : {
          baseline: options.baseline!.name,
          speedups: speedupCurve(served, baseline, options.contexts),
          crossoverContext: crossoverContext(
            (context) => baseline.decode(context).seconds / served.decode(context).seconds,
          ),
        }),
    assumptions: assumptions(hardware, types, ranks, setting.memoryShare, {
      lent: kindsWithLentCurves(served.model),
      ...(options.reference === undefined ? {} : { reference: options.reference }),
    }),
  };
}

/** Contexts of a curve between the shortest and the longest that are asked for. */
const curvePoints = 49;

function speedupCurve(served: Served, baseline: Served, contexts: readonly number[]): readonly SpeedupAt[] {
  const low = Math.log(Math.min(...contexts));
  const high = Math.log(Math.max(...contexts));
  const grid = Array.from({ length: curvePoints }, (_, i) =>
    Math.round(Math.exp(low + ((high - low) * i) / (curvePoints - 1))),
  );
  return [...new Set(grid)].map((context) => ({
    context,
    speedup: baseline.decode(context).seconds / served.decode(context).seconds,
  }));
}

function settingOf(options: ProjectOptions): Setting {
  const { hardware, ranks = 1 } = options;
  const most = hardware.interconnect?.devices ?? 1;
  if (ranks > most) {
    throw new LayermixError(
      {
        code: "LMX2402",
        severity: "error",
        message: `Expected at most ${most} devices of ${hardware.name} joined, got ${ranks}`,
        help: [most === 1 ? "this hardware has no interconnect" : `use --tensor-parallel ${most} or less`],
      },
      exitCodes.infeasible,
    );
  }
  return {
    hardware,
    types: { ...defaultTypes(hardware), ...options.types },
    curves: createCurveSet(hardware, options.reference),
    ranks,
    batch: options.batch,
    memoryShare: options.memoryShare ?? defaultMemoryShare,
  };
}

function serve(plan: Plan, setting: Setting): Served {
  const { hardware, types, curves, ranks, batch } = setting;
  const model = deviceModel(plan, ranks);
  return {
    model,
    print: footprint(model, types, hardware.arithmetic),
    decode: (context) => passTime(model, { phase: "decode", batch, context }, types, hardware, curves),
    prefill: (time) => passTime(model, { phase: "prefill", batch, time }, types, hardware, curves),
  };
}

function point(served: Served, context: number, setting: Setting, baseline?: Served): ProjectionPoint {
  const { batch, hardware, memoryShare } = setting;
  const { print } = served;
  const decode = served.decode(context);
  const prefill = served.prefill(context);
  const kvBytes = batch * print.kvBytes(context);
  const stateBytes = batch * print.stateBytesPerSequence;
  const totalBytes = print.weightBytes + kvBytes + stateBytes;
  const available = memoryShare * hardware.memory.value;
  const against = baseline?.decode(context);
  return {
    context,
    prefillSeconds: prefill.seconds,
    prefillBand: prefill.band,
    decodeTokenSeconds: decode.seconds,
    decodeBand: decode.band,
    tokensPerSecond: batch / decode.seconds,
    weightBytes: print.weightBytes,
    kvBytes,
    stateBytes,
    totalBytes,
    fits: totalBytes <= available,
    maxBatch: largestBatch(print, context, available),
    provenance: { prefill: prefill.provenance, decode: decode.provenance },
    operations: { prefill: prefill.operations, decode: decode.operations },
    ...(baseline === undefined || against === undefined
      ? {}
      : {
          speedup: against.seconds / decode.seconds,
          speedupBand: ratioBand(against, decode),
          prefillSpeedup: baseline.prefill(context).seconds / prefill.seconds,
          baselineFits:
            baseline.print.weightBytes +
              batch * (baseline.print.kvBytes(context) + baseline.print.stateBytesPerSequence) <=
            available,
        }),
  };
}

/**
 * Both times come from the same curves, so what is wrong with one is partly wrong with the other: the relative errors
 * are added as squares, not end to end.
 */
function ratioBand(above: PassTime, below: PassTime): readonly [number, number] {
  const error = Math.hypot(above.band[1] / above.seconds - 1, below.band[1] / below.seconds - 1);
  const ratio = above.seconds / below.seconds;
  return [ratio / (1 + error), ratio * (1 + error)];
}
