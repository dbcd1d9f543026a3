// Where what was worked out about large files is kept between runs: tokens of encoded text, hashes. Everything in it is
// named by content, can be removed at any time, and is made again when it is missing.

import { createHash, randomBytes } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";

/** LAYERMIX_CACHE, or layermix/ in the user's cache folder. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { LAYERMIX_CACHE: own, XDG_CACHE_HOME: users } = environment;
  if (own !== undefined && own !== "") return own;
  return join(users !== undefined && users !== "" ? users : join(homedir(), ".cache"), "layermix");
}

/** A name for everything that `parts` decide. */
export function cacheKey(...parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/**
 * Writes a file of the cache: beside its place first, then renamed, so that no reader sees half of it and writers that
 * race leave the same bytes. Throws LMX7025 when the folder cannot be written.
 */
export async function writeCacheFile(
  path: string,
  write: (put: (bytes: Uint8Array) => void) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.tmp-${process.pid}-${randomBytes(6).toString("hex")}`;
  let descriptor: number | undefined;
  const attempt = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      throw cannotWrite(path, error as Error);
    }
  };
  try {
    const opened = attempt(() => {
      mkdirSync(dirname(path), { recursive: true });
      return openSync(temporary, "wx");
    });
    descriptor = opened;
    await write((bytes) =>
      attempt(() => {
        for (let done = 0; done < bytes.byteLength; ) done += writeSync(opened, bytes, done);
      }),
    );
    attempt(() => {
      fsyncSync(opened);
      closeSync(opened);
      descriptor = undefined;
      renameSync(temporary, path);
    });
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    discard(temporary);
    throw error;
  }
}

/** Removes what is left of a failed write; why it failed matters more than that this may fail too. */
function discard(temporary: string): void {
  try {
    rmSync(temporary, { force: true });
  } catch {
    // It stays, under a name that nobody reads.
  }
}

function cannotWrite(path: string, cause: Error): LayermixError {
  return new LayermixError(
    {
      code: "LMX7025",
      severity: "error",
      message: `Expected to write ${path}, got ${cause.message}`,
      help: [
        "set LAYERMIX_CACHE to a folder with room: encoded text is kept there, so that it is encoded once",
      ],
    },
    exitCodes.storage,
    { cause },
  );
}
