// Times the shapes of a calibration, one after the other, on one device. What was measured before is not measured
// again, so that an interrupted calibration goes on where it was.

import type { Operation } from "../block/operations.js";
import type { CalibrationPoint } from "../project/hardware.js";
import type { NativeLibrary, NativeMeter, NativeOperation } from "./native.js";

export interface MeasureOptions {
  readonly device: string;
  /** CPU threads; 0 = all cores. */
  readonly threads: number;
  /** Seconds of measuring per shape, after its warm-up. */
  readonly seconds: number;
  /** Read between shapes. */
  readonly stop: AbortSignal;
  /** Called with every point as it is there. */
  onPoint(point: CalibrationPoint): void;
  /** A shape that the device cannot run or has no memory for; it is left out. */
  onSkipped(operation: Operation, reason: string): void;
}

/** What the ceilings are taken from: a copy far beyond any cache, and a large matrix product. */
const ceilingShapes = {
  cpu: { copyBytes: 64e6, product: { kind: "linear", rows: 128, in: 1024, out: 1024 } },
  cuda: { copyBytes: 2e9, product: { kind: "linear", rows: 8192, in: 8192, out: 8192 } },
} as const;

/** Measures `operations`; ends early when `stop` is aborted. */
export async function measurePoints(
  native: NativeLibrary,
  operations: readonly Operation[],
  options: MeasureOptions,
): Promise<void> {
  const { device, threads } = options;
  const meter = new native.Meter({ device, threads });
  try {
    for (const operation of operations) {
      if (options.stop.aborted) return;
      await measureOne(meter, operation, options);
    }
  } finally {
    meter.dispose();
  }
}

export interface Ceilings {
  /** Bytes per second, read and written. */
  readonly copy: number;
  /** FLOPs per second. */
  readonly product: number;
}

/** A copy, and a large matrix product. */
export async function measureCeilings(
  native: NativeLibrary,
  device: string,
  threads: number,
): Promise<Ceilings> {
  const meter = new native.Meter({ device, threads });
  const seconds = async (operation: NativeOperation): Promise<number> =>
    (await meter.measure(operation, 0.1)).low;
  try {
    const { copyBytes, product } = ceilingShapes[device === "cpu" ? "cpu" : "cuda"];
    return {
      copy: (2 * copyBytes) / (await seconds({ kind: "copy", bytes: copyBytes })),
      product: (2 * product.rows * product.in * product.out) / (await seconds(product)),
    };
  } finally {
    meter.dispose();
  }
}

async function measureOne(
  meter: NativeMeter,
  operation: Operation,
  { seconds: budget, onPoint, onSkipped }: MeasureOptions,
): Promise<void> {
  try {
    const { seconds, low, high, samples } = await meter.measure(toNative(operation), budget);
    onPoint({ operation, seconds, low, high, samples });
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code !== "invalid_argument" && code !== "out_of_memory") throw error;
    onSkipped(operation, (error as Error).message);
  }
}

/** The library is told the type of the state as well: that of statistics, fp32. */
function toNative(operation: Operation): NativeOperation {
  return (
    operation.kind === "ssd_update" ? { ...operation, stateType: "full" } : operation
  ) as NativeOperation;
}
