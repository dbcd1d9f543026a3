// Where studies come from: a file, `preset:NAME`, or stdin ("-"). read_source.ts reads them.

import { basename, dirname, extname } from "node:path";
import { type DiagnosticCode, type ExitCode, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { similarName } from "../diag/suggest.js";
import { type LoadedStudy, type ParseOptions, parseStudy } from "./parse_study.js";
import { findPreset, listHardwareNames, listPresets } from "./presets.js";
import { readFileLimited, readLimited } from "./read_source.js";

export interface LoadOptions {
  /** `--set` overrides, "path=value". */
  readonly set?: readonly string[];
  /** Source of "-"; process.stdin by default. */
  readonly stdin?: AsyncIterable<Uint8Array>;
  /** As for parseStudy. */
  readonly inspect?: NonNullable<ParseOptions["inspect"]>;
}

function fail(
  code: DiagnosticCode,
  message: string,
  help: readonly string[],
  exitCode: ExitCode,
): LayermixError {
  return new LayermixError({ code, severity: "error", message, help }, exitCode);
}

/**
 * Loads a study from a file, "preset:NAME" or "-" (stdin).
 * @throws LayermixError LMX1001 (cannot be read), LMX6008 (no such preset), and all that parseStudy finds
 */
export async function loadStudy(source: string, options: LoadOptions = {}): Promise<LoadedStudy> {
  const presets = listPresets().map((preset) => preset.name);
  const { stdin, ...given } = options;
  const shared = { presets, hardware: listHardwareNames(), ...given };
  if (source === "-") {
    const bytes = await readLimited(stdin ?? process.stdin);
    return parseStudy(bytes, { ...shared, file: "<stdin>", folder: process.cwd() });
  }
  const file = source.startsWith("preset:") ? presetFile(source.slice("preset:".length), presets) : source;
  const bytes = await readFileLimited(file, source);
  const defaultName = basename(file, extname(file))
    .replace(/[^A-Za-z0-9._-]/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 64);
  return parseStudy(bytes, {
    ...shared,
    file: source,
    folder: dirname(file),
    ...(defaultName === "" ? {} : { defaultName }),
  });
}

function presetFile(name: string, presets: readonly string[]): string {
  const preset = findPreset(name);
  if (preset !== undefined) return preset.file;
  const near = similarName("preset", name, presets);
  throw fail(
    "LMX6008",
    `Unknown preset ${name}`,
    [near ?? "layermix preset list shows all presets"],
    exitCodes.usage,
  );
}
