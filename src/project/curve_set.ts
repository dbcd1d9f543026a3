// The curves of a device: its own calibration where there is one, else those of the device that its kind borrows from,
// else the defaults. Every prediction says which, and how far it may be off.

import type { Operation } from "../block/operations.js";
import { type Curve, type CurvePoint, curveSeconds, fitCurve } from "./curve.js";
import { defaultCurve, defaultCurves } from "./default_curves.js";
import { defaultTypes, type ElementTypes } from "./element_types.js";
import type { Hardware } from "./hardware.js";
import { idealSeconds, type Roofline, roofline } from "./roofline.js";
import { type CurveKey, curveKeys, type ShapePoint, shapePoint } from "./shape_space.js";

/** Where a prediction comes from, best first. */
export const provenances = ["calibrated", "extrapolated", "carried", "assumed"] as const;
export type Provenance = (typeof provenances)[number];

export interface OperationTime {
  readonly seconds: number;
  /** Relative: the time is within seconds / (1 + error) and seconds * (1 + error) in nine cases of ten. */
  readonly error: number;
  /** Roofline over seconds. */
  readonly utilization: number;
  readonly provenance: Provenance;
  readonly curve: CurveKey;
}

export interface CurveSet {
  time(operation: Operation, types: ElementTypes): OperationTime;
}

/** Fewer measurements than this say nothing about how utilisation depends on shape. */
const fewestPoints = 4;
/** A shape this many octaves beyond every measurement of its kind is extrapolated. */
const outside = 1;
/** Added to the error: per octave outside, for another device's curve, for a curve lent by another operation. */
const errorPerOctave = 0.05;
const carriedError = 0.25;
const borrowedError = 0.3;

interface KnownCurve {
  readonly curve: Curve;
  readonly provenance: "calibrated" | "carried" | "assumed";
  /** Least and largest measured coordinate. */
  readonly range: readonly (readonly [number, number])[];
}

/**
 * @param reference a calibrated device whose utilisation is carried over to kinds that `hardware` has no measurements
 *   of; ignored where it computes in another type (a CPU's curves say nothing about a GPU)
 */
export function createCurveSet(hardware: Hardware, reference?: Hardware): CurveSet {
  const own = fitCalibration(hardware);
  const usable = reference !== undefined && reference.arithmetic === hardware.arithmetic;
  const lent = usable ? fitCalibration(reference) : new Map<CurveKey, KnownCurve>();
  const curves = new Map<CurveKey, KnownCurve>();
  for (const key of curveKeys) {
    const carried = lent.get(key);
    curves.set(
      key,
      own.get(key) ??
        (carried === undefined
          ? { curve: defaultCurve(key), provenance: "assumed", range: [] }
          : { ...carried, provenance: "carried" }),
    );
  }
  return {
    time: (operation, types) => {
      const place = shapePoint(operation);
      return predict(curves.get(place.curve)!, place, roofline(operation, types, hardware));
    },
  };
}

function predict(known: KnownCurve, place: ShapePoint, roof: Roofline): OperationTime {
  const { curve, range } = known;
  const seconds = curveSeconds(curve, { ...roof, coordinates: place.coordinates });
  const beyond = octavesOutside(place, range);
  const error =
    curve.error +
    (known.provenance === "carried" ? carriedError : 0) +
    (place.borrowed ? borrowedError : 0) +
    errorPerOctave * beyond;
  const calibrated = known.provenance === "calibrated" && !place.borrowed;
  const provenance = !calibrated
    ? known.provenance === "assumed"
      ? "assumed"
      : "carried"
    : beyond > outside
      ? "extrapolated"
      : "calibrated";
  return { seconds, error, utilization: idealSeconds(roof) / seconds, provenance, curve: place.curve };
}

/** How many octaves a shape lies outside of what was measured, in the direction in which it is farthest. */
function octavesOutside({ coordinates, grows }: ShapePoint, range: KnownCurve["range"]): number {
  let most = 0;
  range.forEach(([low, high], i) => {
    const value = coordinates[i]!;
    most = Math.max(most, low - value, grows[i] ? 0 : value - high);
  });
  return most;
}

const fitted = new WeakMap<Hardware, Map<CurveKey, KnownCurve>>();

/** The curves of a device's own calibration, fitted once. */
function fitCalibration(hardware: Hardware): Map<CurveKey, KnownCurve> {
  const remembered = fitted.get(hardware);
  if (remembered !== undefined) return remembered;
  const types = defaultTypes(hardware);
  const points = new Map<CurveKey, CurvePoint[]>();
  for (const { operation, seconds } of hardware.calibration?.points ?? []) {
    const { curve, coordinates, borrowed } = shapePoint(operation);
    if (borrowed) continue;
    const { computeSeconds, memorySeconds } = roofline(operation, types, hardware);
    const list = points.get(curve) ?? [];
    list.push({ coordinates, computeSeconds, memorySeconds, seconds });
    points.set(curve, list);
  }
  const curves = new Map<CurveKey, KnownCurve>();
  for (const [key, list] of points) {
    if (list.length < fewestPoints) continue;
    const range = list[0]!.coordinates.map((_, i): [number, number] => {
      const values = list.map((point) => point.coordinates[i]!);
      return [Math.min(...values), Math.max(...values)];
    });
    curves.set(key, { curve: fitCurve(list, defaultCurves[key]), provenance: "calibrated", range });
  }
  fitted.set(hardware, curves);
  return curves;
}

/** Leave-one-out error of each calibrated curve, by kind; empty without a calibration. */
export function calibrationErrors(
  hardware: Hardware,
): readonly { readonly curve: CurveKey; readonly points: number; readonly error: number }[] {
  return [...fitCalibration(hardware)].map(([curve, known]) => ({
    curve,
    points: known.curve.corrections.length,
    error: known.curve.error,
  }));
}
