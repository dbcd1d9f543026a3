// Devices for tests: round numbers, and a device that reaches its roofline at every shape, as if it had been calibrated
// so. What is projected onto the latter can be checked by hand.

import type { Operation } from "../../src/block/operations.js";
import { defaultTypes } from "../../src/project/element_types.js";
import type { Figure, Hardware } from "../../src/project/hardware.js";
import { idealSeconds, roofline } from "../../src/project/roofline.js";

export const figure = (value: number): Figure => ({ value, basis: "derived", source: "a test" });

/** 100 GB at 1 TB/s, 1 PFLOP/s in bf16, 100 TFLOP/s in fp32, eight joined by 100 GB/s; not calibrated. */
export function device(changes: Partial<Hardware> = {}): Hardware {
  return {
    id: "example",
    name: "Example device",
    matches: ["Example"],
    arithmetic: "bf16",
    memory: figure(100e9),
    bandwidth: figure(1e12),
    peak: { fp32: figure(1e14), bf16: figure(1e15), fp8: figure(2e15) },
    interconnect: { name: "Link", devices: 8, bandwidth: figure(1e11) },
    ...changes,
  };
}

const powers = (from: number, to: number, step: number): number[] => {
  const list: number[] = [];
  for (let value = from; value <= to; value *= step) list.push(value);
  return list;
};

/** Shapes of every kind, from decoding one sequence to long prompts. */
export function manyShapes(): readonly Operation[] {
  const rows = powers(1, 131_072, 8);
  const batches = [1, 32, 256];
  const times = [512, 8192, 131_072];
  const attention = { heads: 32, kvHeads: 8, headDim: 128 };
  const scan = { heads: 128, headDim: 64, groups: 8, state: 128 };
  return [
    ...rows.flatMap((r): Operation[] => [
      { kind: "linear", rows: r, in: 4096, out: 4096 },
      { kind: "linear", rows: r, in: 16_384, out: 4096 },
      { kind: "norm_linear", rows: r, in: 4096, out: 6144, logits: false },
      { kind: "norm_linear", rows: r, in: 4096, out: 18_560, logits: false },
      { kind: "norm_linear", rows: r, in: 4096, out: 256_000, logits: true },
      { kind: "mlp_up", rows: r, hidden: 4096, width: 16_384, activation: "gelu", gated: false },
      { kind: "gated_rms_norm", rows: r, cols: 8192, groups: 8 },
      { kind: "rms_norm", rows: r, cols: 4096 },
      { kind: "embedding", rows: r, cols: 4096, vocab: 256_000 },
      { kind: "argmax", rows: r, vocab: 256_000 },
    ]),
    ...batches.flatMap((batch): Operation[] => [
      ...[1024, 16_384, 262_144].map(
        (context): Operation => ({ kind: "attention_decode", batch, context, ...attention }),
      ),
      ...times.map((time): Operation => ({ kind: "attention_prefill", batch, time, ...attention })),
      ...times.map((time): Operation => ({ kind: "cache_append", batch, time, ...attention })),
      ...times.map((time): Operation => ({ kind: "ssd_prefill", batch, time, ...scan })),
      ...times.map((time): Operation => ({ kind: "conv_prefill", batch, time, channels: 10_240, width: 4 })),
    ]),
    ...powers(1, 512, 4).flatMap((batch): Operation[] => [
      { kind: "ssd_update", batch, ...scan },
      { kind: "conv_step", batch, channels: 10_240, width: 4 },
      { kind: "cache_append", batch, time: 1, ...attention },
    ]),
  ];
}

/** `hardware` as if every operation had taken `slowness` times its roofline. */
export function calibrated(hardware: Hardware, slowness = 1): Hardware {
  const types = defaultTypes(hardware);
  return {
    ...hardware,
    calibration: {
      device: hardware.name,
      date: "2026-01-01",
      complete: true,
      points: manyShapes().map((operation) => ({
        operation,
        seconds: slowness * idealSeconds(roofline(operation, types, hardware)),
      })),
    },
  };
}
