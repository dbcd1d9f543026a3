// The checks of `layermix doctor`: each finds one fact about the machine and says whether layermix can work with it.

import { readFileSync, statfsSync } from "node:fs";
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from "node:os";
import { LayermixError } from "../diag/diagnostic.js";
import { counted } from "../report/format.js";
import { physicalCores, shareCores } from "../run/cores.js";
import { loadNative } from "../run/load_native.js";
import { probeCuda } from "../run/probe_cuda.js";
import { type OutputStream, wantsColor } from "./terminal.js";

export interface MachineCheck {
  readonly name: string;
  readonly status: "ok" | "warn";
  readonly found: string;
  readonly fix?: string;
}

/** Where the checks look. */
export interface Surroundings {
  readonly environment: NodeJS.ProcessEnv;
  readonly stdout: OutputStream;
  /** Studies are written below it. */
  readonly folder: string;
}

const oldestNode = [20, 19] as const;
const gibibyte = 1024 ** 3;
/** A study with checkpoints of small proxies takes less; below it, runs may fail. */
const wantedDiskBytes = 2 * gibibyte;
const wantedMemoryBytes = 2 * gibibyte;

function gib(bytes: number): string {
  return `${(bytes / gibibyte).toFixed(1)} GiB`;
}

function judged(name: string, good: boolean, found: string, fix: string): MachineCheck {
  return good ? { name, status: "ok", found } : { name, status: "warn", found, fix };
}

function nodeCheck(): MachineCheck {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const good = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]);
  const found = `${process.version} on ${platform()} ${release()} ${arch()}`;
  return judged("node", good, found, `install Node ${oldestNode.join(".")} or later`);
}

function processorCheck(): MachineCheck {
  const threads = availableParallelism();
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const found = `${physicalCores()} cores, ${threads} threads: ${model}`;
  return judged("processor", threads >= 2, found, "use at least two cores: one trains, one prepares data");
}

/** Memory this process may use: that of its container where there is one. */
function memoryCheck(): MachineCheck {
  const limit = process.constrainedMemory() || totalmem();
  const total = Math.min(limit, totalmem());
  const found = `${gib(Math.min(freemem(), total))} free of ${gib(total)}`;
  return judged("memory", total >= wantedMemoryBytes, found, "lower --workers or the size of the proxy");
}

function diskCheck(folder: string): MachineCheck {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const found = `${gib(free)} free at ${folder}`;
  return judged(
    "disk",
    free >= wantedDiskBytes,
    found,
    "free some space, or write studies elsewhere with --out",
  );
}

function nativeCheck(): MachineCheck {
  try {
    const { version, build } = loadNative().info(); // build: compiler, vector width, BLAS
    const { workers, threadsPerTrial } = shareCores("cpu", physicalCores(), Number.POSITIVE_INFINITY);
    const pool = `${counted(workers, "trial")} at a time, threads each: ${threadsPerTrial}`;
    return { name: "native library", status: "ok", found: `${version}, ${build}; ${pool}` };
  } catch (error) {
    if (!(error instanceof LayermixError)) throw error;
    const [problem] = error.diagnostics;
    return judged("native library", false, problem!.message, problem!.help.join(" "));
  }
}

/** A GPU is never required: its absence is ok, and the line says why training stays on the CPU. */
function gpuCheck(): MachineCheck {
  const { cuda, reason } = probeCuda();
  const found =
    cuda.length > 0 ? cuda.map((line, index) => `cuda:${index} ${line}`).join("; ") : `none: ${reason}`;
  return { name: "GPU", status: "ok", found };
}

function schemaCheck(): MachineCheck {
  try {
    const file = new URL("../../schemas/compiled/study.mjs", import.meta.url);
    const size = readFileSync(file).length;
    return { name: "validators", status: "ok", found: `${Math.round(size / 1024)} KiB` };
  } catch {
    return judged("validators", false, "not built", "npm run build:schemas");
  }
}

function terminalCheck(environment: NodeJS.ProcessEnv, stdout: OutputStream): MachineCheck {
  const kind = stdout.isTTY === true ? `terminal, ${stdout.columns ?? 80} columns` : "not a terminal";
  const color = wantsColor(stdout, environment) ? "colours" : "no colours";
  return { name: "output", status: "ok", found: `${kind}, ${color}` };
}

/** All checks, in the order in which they are shown. */
export function machineChecks(surroundings: Surroundings): readonly MachineCheck[] {
  return [
    nodeCheck(),
    processorCheck(),
    memoryCheck(),
    diskCheck(surroundings.folder),
    nativeCheck(),
    gpuCheck(),
    schemaCheck(),
    terminalCheck(surroundings.environment, surroundings.stdout),
  ];
}
