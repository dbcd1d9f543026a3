// Reading input files: at most one byte more than the limit is ever read, so a device or a checkpoint given by mistake
// does no harm.

import { open, readdir } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { similarName } from "../diag/suggest.js";
import { systemReason } from "../diag/system_reason.js";
import { maxFileBytes } from "./guard.js";

/** The bytes of a stream, up to the limit. */
export async function readLimited(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const read: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of chunks) {
    read.push(Buffer.from(chunk));
    total += chunk.length;
    if (total > maxFileBytes) break;
  }
  return Buffer.concat(read);
}

/**
 * The bytes of a file, up to the limit; `shown` is what the user called it.
 * @throws LayermixError LMX1001
 */
export async function readFileLimited(file: string, shown: string): Promise<Uint8Array> {
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
  const help: string[] = [];
  if (error.code === "ENOENT") {
    const siblings = await readdir(dirname(file), { withFileTypes: true }).catch(() => []);
    const files = siblings.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
    const near = similarName("file", basename(file), files);
    help.push(near ?? "presets are named preset:NAME; layermix init writes a study file");
  }
  const message = `Cannot read ${shown}: ${systemReason(error)}`;
  return new LayermixError({ code: "LMX1001", severity: "error", message, help }, exitCodes.invalidFile);
}
