// Where studies come from: a file, `preset:NAME`, or stdin ("-"). The only part of spec/ that reads user files; at most
// one byte more than the limit is ever read, so a device or a checkpoint given by mistake does no harm.

import { open, readdir } from "node:fs/promises";
import { basename, dirname, extname } from "node:path";
import { type DiagnosticCode, type ExitCode, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { similarName } from "../diag/suggest.js";
import { maxFileBytes } from "./guard.js";
import { type LoadedStudy, type ParseOptions, parseStudy } from "./parse_study.js";
import { findPreset, listPresets } from "./presets.js";

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
  const shared = { presets, ...given };
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

async function readLimited(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const read: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of chunks) {
    read.push(Buffer.from(chunk));
    total += chunk.length;
    if (total > maxFileBytes) break;
  }
  return Buffer.concat(read);
}

async function readFileLimited(file: string, shown: string): Promise<Uint8Array> {
  try {
    const handle = await open(file, "r");
    try {
      return await readLimited(handle.createReadStream({ end: maxFileBytes, autoClose: false }));
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw await unreadable(error as NodeJS.ErrnoException, file, shown);
  }
}

async function unreadable(error: NodeJS.ErrnoException, file: string, shown: string): Promise<LayermixError> {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "there is no such file",
    EISDIR: "it is a folder",
    EACCES: "it may not be read",
  };
  const reason = reasons[error.code ?? ""] ?? error.message;
  const help: string[] = [];
  if (error.code === "ENOENT") {
    const siblings = await readdir(dirname(file)).catch(() => []);
    const near = similarName("file", basename(file), siblings);
    help.push(near ?? "presets are named preset:NAME; layermix init writes a study file");
  }
  return fail("LMX1001", `Cannot read ${shown}: ${reason}`, help, exitCodes.invalidFile);
}
