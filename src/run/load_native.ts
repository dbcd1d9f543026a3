// Finds and loads the native addon. It lies in build/ of the package, where `npm run build` puts it; the
// package root is the nearest folder above this file that has a package.json, so sources (src/) and builds
// (dist/) find the same one.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { NativeLibrary } from "./native.js";

/** Where the addon may lie, best first: cmake-js's place, then that of generators without configurations. */
export const addonPaths = ["build/Release/layermix_cpu.node", "build/layermix_cpu.node"] as const;

let loaded: NativeLibrary | undefined;

/** The native library, loaded once per process. Throws LMX3001 (not built) or LMX3002 (does not load). */
export function loadNative(): NativeLibrary {
  loaded ??= loadNativeFrom(packageRoot(dirname(fileURLToPath(import.meta.url))));
  return loaded;
}

/** Loads the addon of the package at `root`; see loadNative. */
export function loadNativeFrom(root: string): NativeLibrary {
  const path = addonPaths.map((relative) => join(root, relative)).find((candidate) => existsSync(candidate));
  if (path === undefined) {
    const message = `Expected the native library at ${join(root, addonPaths[0])}, got no such file`;
    throw failure("LMX3001", message, "Build it: npm run build (needs a C++17 compiler and CMake 3.22).");
  }
  try {
    return createRequire(import.meta.url)(path) as NativeLibrary;
  } catch (error) {
    const message = `Expected to load ${path}, got: ${(error as Error).message}`;
    throw failure("LMX3002", message, "Build it again on this machine: npm run build.", error);
  }
}

function packageRoot(folder: string): string {
  if (existsSync(join(folder, "package.json"))) return folder;
  const parent = dirname(folder);
  return parent === folder ? folder : packageRoot(parent);
}

function failure(code: "LMX3001" | "LMX3002", message: string, help: string, cause?: unknown): LayermixError {
  return new LayermixError({ code, severity: "error", message, help: [help] }, exitCodes.noDevice, { cause });
}
