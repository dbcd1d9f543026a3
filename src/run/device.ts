// Where trials compute: the CPU, or a GPU where the CUDA addon is built and sees one. The name that is chosen goes into
// study.json and to every worker.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { NativeDevices } from "./native.js";
import { probeCuda } from "./probe_cuda.js";

/**
 * The device that --device means on this machine: auto is the first GPU, or the CPU where there is none.
 * Throws LMX4017 (exit 7) when the device named is not there.
 * @param probe what is there; asked only when it matters.
 */
export function chooseDevice(asked: string, probe: () => NativeDevices = probeCuda): string {
  if (asked === "cpu") return "cpu";
  const { cuda, reason } = probe();
  if (asked === "auto") return cuda.length > 0 ? "cuda:0" : "cpu";
  const index = Number(asked.slice("cuda:".length));
  if (index < cuda.length) return `cuda:${index}`;
  const found = reason ?? `the last one is cuda:${cuda.length - 1}`;
  throw new LayermixError(
    {
      code: "LMX4017",
      severity: "error",
      message: `Expected a device this machine can train on, got ${asked}: ${found}`,
      help: ["Use --device cpu, or leave --device out; layermix doctor says what was found."],
    },
    exitCodes.noDevice,
  );
}
