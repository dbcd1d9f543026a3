// A device that inference is projected onto: numbers with their sources, and what `layermix calibrate` measured on it.
// Plain SI numbers: bytes, bytes per second, FLOPs per second.

import type { Operation } from "../block/operations.js";

/** Read off a datasheet, measured, or worked out from other numbers. */
export type FigureBasis = "datasheet" | "measured" | "derived";

export interface Figure {
  readonly value: number;
  readonly basis: FigureBasis;
  /** The document, the measurement, or how it was worked out. */
  readonly source: string;
}

export const peakTypes = ["fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4"] as const;
export type PeakType = (typeof peakTypes)[number];

export interface Interconnect {
  readonly name: string;
  /** How many devices it joins at most. */
  readonly devices: number;
  /** Bytes per second that one device sends while it receives as many. */
  readonly bandwidth: Figure;
}

/** One operation at one shape, as it was measured. */
export interface CalibrationPoint {
  readonly operation: Operation;
  /** Median of one call. */
  readonly seconds: number;
  /** Tenth and ninetieth percentile. */
  readonly low?: number;
  readonly high?: number;
  readonly samples?: number;
}

export type CalibrationPlan = "full" | "quick";

export interface Calibration {
  readonly device: string;
  readonly date: string;
  readonly layermix?: string;
  /** Compiler, driver and library versions, in a line. */
  readonly build?: string;
  /** CPU threads. */
  readonly threads?: number;
  readonly plan?: CalibrationPlan;
  /** False where it was interrupted. */
  readonly complete: boolean;
  readonly points: readonly CalibrationPoint[];
}

export interface Hardware {
  /** How it was asked for: "h200", or the path of a file. */
  readonly id: string;
  readonly name: string;
  /** Parts of the name by which the driver reports the device. */
  readonly matches: readonly string[];
  /** Type of activations, and of weights and caches by default. */
  readonly arithmetic: "bf16" | "fp32";
  readonly memory: Figure;
  readonly bandwidth: Figure;
  readonly peak: Readonly<Partial<Record<PeakType, Figure>>>;
  readonly interconnect?: Interconnect;
  readonly ceilings?: Readonly<Partial<Record<"copy" | "fp32" | "bf16", Figure>>>;
  readonly calibration?: Calibration;
}
