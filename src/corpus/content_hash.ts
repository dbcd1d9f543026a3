// SHA-256 of a file of any size, a window at a time. The hash of a large file is remembered under what the file system
// says of it (place, size, times, inode), since every worker asks for it again.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder, cacheKey } from "./cache_folder.js";
import type { WindowFile } from "./window_file.js";

/** Smaller files are hashed every time. */
const rememberedBytes = 64 << 20;
/** A file changed this recently could change again without its times showing it. */
const settledMilliseconds = 3_000;

/** Hex digits. Throws LMX7004 when the file cannot be read. */
export function contentHash(file: WindowFile): string {
  const memo = file.byteLength >= rememberedBytes ? memoPath(file) : undefined;
  if (memo !== undefined) {
    const known = recall(memo);
    if (known !== undefined) return known;
  }
  const hash = createHash("sha256");
  for (const window of file.windows()) hash.update(window);
  const digest = hash.digest("hex");
  if (memo !== undefined && Date.now() - file.stats.mtimeMs > settledMilliseconds) remember(memo, digest);
  return digest;
}

function memoPath(file: WindowFile): string {
  const { dev, ino, size, mtimeMs, ctimeMs } = file.stats;
  const key = cacheKey("hash", realpathSync(file.path), dev, ino, size, mtimeMs, ctimeMs);
  return join(cacheFolder(), "hashes", key);
}

function recall(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8");
    return /^[0-9a-f]{64}$/.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

function remember(path: string, digest: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.tmp-${process.pid}`, digest);
    renameSync(`${path}.tmp-${process.pid}`, path);
  } catch {
    // Only time is lost: the file is hashed again.
  }
}
