// `layermix calibrate`: measures a device and keeps a hardware file of it. The file is whole after every few points - an
// interrupted calibration is a hardware file with `complete: false` - and the same command continues it.

import { type Operation, operationCost } from "../block/operations.js";
import { calibrationShapes } from "../project/calibration_shapes.js";
import type { CalibrationPlan, CalibrationPoint, Figure, Hardware } from "../project/hardware.js";
import { hardwareFileText } from "../project/hardware_text.js";
import { writeFileAtomic } from "../study/atomic_file.js";
import { type Ceilings, measureCeilings, measurePoints } from "./measure_points.js";
import type { NativeLibrary } from "./native.js";

export interface DeviceFacts {
  /** "cpu", "cuda:0". */
  readonly device: string;
  /** What the driver, or the operating system, calls it, in a line. */
  readonly reported: string;
  readonly memoryBytes: number;
  /** CPU threads; 0 = all of the `cores`. */
  readonly threads: number;
  readonly cores: number;
  /** Datasheet numbers of the device, where they are known. */
  readonly known?: Hardware;
}

export interface CalibrationRequest {
  readonly facts: DeviceFacts;
  readonly plan: CalibrationPlan;
  /** File to write. */
  readonly file: string;
  /** What an interrupted calibration has measured. */
  readonly points: readonly CalibrationPoint[];
  /** Seconds of measuring per shape. */
  readonly seconds: number;
  readonly date: string;
  readonly version: string;
  readonly stop: AbortSignal;
  /** Called after every shape. */
  onProgress(done: number, total: number, last: CalibrationPoint | undefined): void;
  onSkipped(operation: Operation, reason: string): void;
}

/** Points between two writes of the file. */
const pointsPerWrite = 10;

/** Measures what is missing and writes the file. @returns the hardware as written */
export async function calibrate(native: NativeLibrary, request: CalibrationRequest): Promise<Hardware> {
  const { facts, stop, file } = request;
  const { device, threads } = facts;
  const arithmetic = device === "cpu" ? "fp32" : "bf16";
  const ceilings = await measureCeilings(native, device, threads);
  const wanted = calibrationShapes(arithmetic, request.plan);
  const measured = new Map(request.points.map((point) => [JSON.stringify(point.operation), point]));
  const missing = wanted.filter((operation) => !measured.has(JSON.stringify(operation)));
  let skipped = 0;
  const hardware = (complete: boolean) =>
    describe(facts, ceilings, arithmetic, {
      device: facts.reported,
      date: request.date,
      layermix: request.version,
      build: native.info().build,
      ...(device === "cpu" ? { threads: threads === 0 ? facts.cores : threads } : {}),
      plan: request.plan,
      complete,
      points: [...measured.values()],
    });
  const write = (complete: boolean): Hardware => {
    const result = hardware(complete);
    writeFileAtomic(file, hardwareFileText(result, `${result.name}, calibrated ${request.date}.`));
    return result;
  };
  const progress = (last?: CalibrationPoint) =>
    request.onProgress(wanted.length - missing.length + taken + skipped, wanted.length, last);
  let taken = 0;
  await measurePoints(native, missing, {
    device,
    threads,
    seconds: request.seconds,
    stop,
    onPoint: (point) => {
      measured.set(JSON.stringify(point.operation), point);
      taken += 1;
      if (taken % pointsPerWrite === 0) write(false);
      progress(point);
    },
    onSkipped: (operation, reason) => {
      skipped += 1;
      request.onSkipped(operation, reason);
      progress();
    },
  });
  return write(!stop.aborted);
}

const measuredFigure = (value: number, source: string): Figure => ({
  value: Number(value.toPrecision(4)),
  basis: "measured",
  source,
});

/** Datasheet numbers where they are known, else the best that was measured. */
function describe(
  facts: DeviceFacts,
  ceilings: Ceilings,
  arithmetic: Hardware["arithmetic"],
  calibration: NonNullable<Hardware["calibration"]>,
): Hardware {
  const { known, reported } = facts;
  const when = `on this device, ${calibration.date}`;
  const copy = measuredFigure(ceilings.copy, `copies ${when}; read + written`);
  const best = Math.max(ceilings.product, bestRate(calibration.points));
  const rate = measuredFigure(best, `the fastest matrix product ${when}`);
  const base: Omit<Hardware, "ceilings" | "calibration"> = known ?? {
    id: "",
    name: reported,
    matches: [],
    arithmetic,
    memory: { value: facts.memoryBytes, basis: "measured", source: "reported by the system" },
    bandwidth: copy,
    peak: { [arithmetic]: rate },
  };
  return { ...base, ceilings: { copy, [arithmetic]: rate }, calibration };
}

/** FLOPs per second of the fastest matrix product; 0 without one. */
function bestRate(points: readonly CalibrationPoint[]): number {
  return points
    .filter(({ operation }) => ["linear", "norm_linear", "mlp_up"].includes(operation.kind))
    .reduce((best, { operation, seconds }) => Math.max(best, operationCost(operation).flops / seconds), 0);
}
