// Finds and loads the native addon: one for the CPU, in build/ of the package, where `npm run build` puts it, and one that
// knows GPUs too, in build-cuda/, from `npm run build:cuda`. The package root is the nearest folder above this file that
// has a package.json, so sources (src/) and builds (dist/) find the same ones.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { NativeLibrary } from "./native.js";

export type Addon = "cpu" | "cuda";

interface AddonBuild {
  /** Where the addon may lie, best first: cmake-js's place, then that of generators without configurations. */
  readonly paths: readonly [string, ...string[]];
  /** The script of package.json that builds it: in a checkout, and where npm has installed the package, already compiled. */
  readonly script: { readonly checkout: string; readonly installed: string };
  readonly needs: string;
}

const builds: Readonly<Record<Addon, AddonBuild>> = {
  cpu: {
    paths: ["build/Release/layermix_cpu.node", "build/layermix_cpu.node"],
    script: { checkout: "build", installed: "build:native" },
    needs: "a C++17 compiler and CMake 3.22",
  },
  cuda: {
    paths: ["build-cuda/Release/layermix_cuda.node", "build-cuda/layermix_cuda.node"],
    script: { checkout: "build:cuda", installed: "build:cuda" },
    needs: "a C++17 compiler, CMake 3.22, and CUDA 13 or python3 with pip",
  },
};

const loaded = new Map<Addon, NativeLibrary>();

/** Which addon runs a device: "cpu", "cuda:0". */
export function addonFor(device: string): Addon {
  return device.startsWith("cuda") ? "cuda" : "cpu";
}

/** The native library, loaded once per process. Throws LMX3001 (not built) or LMX3002 (does not load). */
export function loadNative(addon: Addon = "cpu"): NativeLibrary {
  const library = loaded.get(addon) ?? loadNativeFrom(ownPackage(), addon);
  loaded.set(addon, library);
  return library;
}

/** Whether an addon has been built, whatever it does when loaded. */
export function isBuilt(addon: Addon): boolean {
  return builtPath(ownPackage(), addon) !== undefined;
}

/** The command that builds an addon of the package at `root`, from wherever the user is. */
export function buildCommand(addon: Addon, root = ownPackage()): string {
  const { checkout, installed } = builds[addon].script;
  if (existsSync(join(root, "src"))) return `npm run ${checkout}`;
  return `npm --prefix ${/^[\w./:\\-]+$/.test(root) ? root : JSON.stringify(root)} run ${installed}`;
}

/** Loads an addon of the package at `root`; see loadNative. */
export function loadNativeFrom(root: string, addon: Addon = "cpu"): NativeLibrary {
  const { paths, needs } = builds[addon];
  const command = buildCommand(addon, root);
  const path = builtPath(root, addon);
  if (path === undefined) {
    const message = `Expected the native library at ${join(root, paths[0])}, got no such file`;
    throw failure("LMX3001", message, `Build it: ${command} (needs ${needs}).`);
  }
  try {
    return createRequire(import.meta.url)(path) as NativeLibrary;
  } catch (error) {
    const message = `Expected to load ${path}, got: ${(error as Error).message}`;
    throw failure("LMX3002", message, `Build it again on this machine: ${command}.`, error);
  }
}

function builtPath(root: string, addon: Addon): string | undefined {
  return builds[addon].paths.map((relative) => join(root, relative)).find((path) => existsSync(path));
}

function ownPackage(): string {
  return packageRoot(dirname(fileURLToPath(import.meta.url)));
}

function packageRoot(folder: string): string {
  if (existsSync(join(folder, "package.json"))) return folder;
  const parent = dirname(folder);
  return parent === folder ? folder : packageRoot(parent);
}

function failure(code: "LMX3001" | "LMX3002", message: string, help: string, cause?: unknown): LayermixError {
  return new LayermixError({ code, severity: "error", message, help: [help] }, exitCodes.noDevice, { cause });
}
