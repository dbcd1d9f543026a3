// What the CUDA addon says about this machine, asked in a child process: a driver or library that crashes on first
// contact takes the probe down, not the command.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildCommand, isBuilt } from "./load_native.js";
import type { NativeDevices } from "./native.js";

const milliseconds = 20_000;

let known: NativeDevices | undefined;

/** The GPUs that --device cuda:N can mean, or why there is none. Asked once per process. */
export function probeCuda(): NativeDevices {
  known ??= isBuilt("cuda") ? ask() : { cuda: [], reason: `not built (${buildCommand("cuda")})` };
  return known;
}

function ask(): NativeDevices {
  const compiled = fileURLToPath(new URL("./print_devices.js", import.meta.url));
  // Tests run the sources, where the compiled entry is not beside this file.
  const [entry, loader] = existsSync(compiled)
    ? [compiled, []]
    : [compiled.replace(/js$/, "ts"), ["--import", "tsx"]];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [...loader, entry], {
    encoding: "utf8",
    timeout: milliseconds,
  });
  if (status === 0) return JSON.parse(stdout) as NativeDevices;
  const lastLine = stderr.trim().split("\n").at(-1) ?? "";
  const end = signal === null ? `exit code ${status}` : signal;
  return { cuda: [], reason: `the CUDA addon ended with ${end}${lastLine === "" ? "" : `: ${lastLine}`}` };
}
