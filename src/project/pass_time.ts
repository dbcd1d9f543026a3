// The time of one pass: the sum over its operations, one after the other, as one stream of a device runs them. The band
// adds errors of one curve as they are (if it is wrong at one shape, it is wrong at the next), and errors of different
// curves by their squares. Curves that are carried over or assumed have one source, so their errors count as of one.

import type { InferencePass } from "../block/block.js";
import { allReduceError, allReduceTime } from "./all_reduce.js";
import type { CurveSet, Provenance } from "./curve_set.js";
import { provenances } from "./curve_set.js";
import { type ElementTypes, elementBytes } from "./element_types.js";
import type { Hardware } from "./hardware.js";
import { type DeviceModel, passOperations } from "./model_operations.js";

/** Low and high end. */
export type Band = readonly [number, number];

/** What the operations of one kind take in a pass. */
export interface OperationShare {
  readonly kind: string;
  readonly calls: number;
  readonly seconds: number;
  /** Roofline over time; 0 of all-reduces. */
  readonly utilization: number;
  readonly provenance: Provenance;
  readonly error: number;
}

export interface PassTime {
  readonly seconds: number;
  readonly band: Band;
  /** By kind, longest first. */
  readonly operations: readonly OperationShare[];
  /** The least certain source of any operation that takes at least a twentieth of the time. */
  readonly provenance: Provenance;
}

/** Time between operations that no measurement of a single one shows. */
const stepError = 0.03;
/** Share of the time below which an operation does not decide where a result comes from. */
const decisiveShare = 0.05;

interface Sum {
  kind: string;
  calls: number;
  seconds: number;
  ideal: number;
  spread: number;
  provenance: Provenance;
}

const worse = (a: Provenance, b: Provenance): Provenance =>
  provenances.indexOf(a) > provenances.indexOf(b) ? a : b;

/** The time of one pass on one of the devices that share the model; `hardware` has an interconnect if they are several. */
export function passTime(
  model: DeviceModel,
  pass: InferencePass,
  types: ElementTypes,
  hardware: Hardware,
  curves: CurveSet,
): PassTime {
  const { operations, reductions } = passOperations(model, pass);
  const sums = new Map<string, Sum>();
  const spreads = new Map<string, number>();
  const add = (
    kind: string,
    source: string,
    calls: number,
    seconds: number,
    more: Omit<Sum, "kind" | "calls" | "seconds">,
  ) => {
    const sum = sums.get(kind) ?? {
      kind,
      calls: 0,
      seconds: 0,
      ideal: 0,
      spread: 0,
      provenance: "calibrated",
    };
    sum.calls += calls;
    sum.seconds += seconds;
    sum.ideal += more.ideal;
    sum.spread += more.spread;
    sum.provenance = worse(sum.provenance, more.provenance);
    sums.set(kind, sum);
    spreads.set(source, (spreads.get(source) ?? 0) + more.spread);
  };
  for (const { operation, times } of operations) {
    const one = curves.time(operation, types);
    const seconds = times * one.seconds;
    const measured = one.provenance === "calibrated" || one.provenance === "extrapolated";
    add(operation.kind, measured ? one.curve : one.provenance, times, seconds, {
      ideal: seconds * one.utilization,
      spread: seconds * one.error,
      provenance: one.provenance,
    });
  }
  for (const { elements, times } of reductions) {
    const bytes = elements * elementBytes("activations", types, hardware.arithmetic);
    const seconds = times * allReduceTime(bytes, model.ranks, hardware.interconnect!);
    add("all_reduce", "all_reduce", times, seconds, {
      ideal: 0,
      spread: seconds * allReduceError,
      provenance: "assumed",
    });
  }
  const shares = [...sums.values()].sort((a, b) => b.seconds - a.seconds);
  const seconds = shares.reduce((total, sum) => total + sum.seconds, 0);
  const squared = [...spreads.values()].reduce(
    (total, spread) => total + spread ** 2,
    (stepError * seconds) ** 2,
  );
  const error = Math.sqrt(squared) / seconds;
  return {
    seconds,
    band: [seconds / (1 + error), seconds * (1 + error)],
    operations: shares.map(({ ideal, spread, ...share }) => ({
      ...share,
      utilization: ideal / share.seconds,
      error: spread / share.seconds,
    })),
    provenance: shares
      .filter((share) => share.seconds >= decisiveShare * seconds)
      .reduce<Provenance>((worst, share) => worse(worst, share.provenance), "calibrated"),
  };
}
