// Files that are either absent, old or new, never half: write beside the target, fsync, rename, fsync the folder.
// A reader needs no lock, and a process that dies at any instruction leaves at most a stray "*.tmp-*" file.

import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { errnoOf, onDisk, storageError } from "./storage_error.js";

/** A name beside `path` that no other process uses. */
export function temporaryPath(path: string): string {
  return `${path}.tmp-${process.pid}-${randomBytes(6).toString("hex")}`;
}

/** Replaces `path` with these bytes, durably and at once. Throws LMX4001..4003. */
export function writeFileAtomic(path: string, bytes: string | Uint8Array): void {
  const temporary = temporaryPath(path);
  try {
    writeDurably(temporary, bytes, path);
    publish(temporary, path);
  } catch (error) {
    discard(temporary);
    throw error;
  }
}

/**
 * Puts a file into its place unless there is one: the first stands. On file systems without links the last does, as with
 * writeFileAtomic. Throws LMX4001..4003.
 */
export function writeFileOnce(path: string, bytes: string | Uint8Array): void {
  putOnce(path, bytes, (temporary) => {
    renameSync(temporary, path);
    return true;
  });
}

/** Renames a finished, fsynced file into its place and makes the rename itself durable. */
export function publish(temporary: string, path: string): void {
  onDisk("write", path, () => renameSync(temporary, path));
  syncFolder(dirname(path));
}

/**
 * Creates `path` with these bytes unless it exists: of any number of processes that try, exactly one gets true, and
 * nobody ever sees the file without its content (link(2); on file systems without links O_EXCL, where an instant of
 * emptiness is possible).
 */
export function createFileExclusive(path: string, bytes: string): boolean {
  return putOnce(path, bytes, () => createByOpen(path, bytes));
}

/** Removes a temporary file; whatever stands in the way must not hide why it is no longer wanted. */
export function discard(temporary: string): void {
  try {
    rmSync(temporary, { force: true });
  } catch {
    // It stays, under a name that nobody reads.
  }
}

/** The text of a file, or undefined when there is none. */
export function readTextIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw storageError("read", path, error);
  }
}

/** Writes all bytes; a short write is continued, so that the reason (a full disk) surfaces as an error. */
export function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) done += writeSync(descriptor, bytes, done);
}

/** Makes renames and creations in a folder durable, where the file system knows such a thing. */
export function syncFolder(folder: string): void {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(folder, "r");
    fsyncSync(descriptor);
  } catch (error) {
    // Some network and FUSE file systems refuse fsync on folders; there is nothing better to do on them.
    const errno = errnoOf(error);
    if (errno === "EIO" || errno === "ENOSPC") throw storageError("write", folder, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * Links a finished file into its place: false when there is one already.
 * @param withoutLink puts the temporary file into its place where the file system knows no links; the same answer.
 */
function putOnce(
  path: string,
  bytes: string | Uint8Array,
  withoutLink: (temporary: string) => boolean,
): boolean {
  const temporary = temporaryPath(path);
  try {
    writeDurably(temporary, bytes, path);
    try {
      linkSync(temporary, path);
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return false;
      if (!knowsNoLinks(error)) throw error;
      if (!withoutLink(temporary)) return false;
    }
    syncFolder(dirname(path));
    return true;
  } catch (error) {
    throw storageError("write", path, error);
  } finally {
    discard(temporary);
  }
}

/** What link(2) says where a file system knows no links. */
function knowsNoLinks(error: unknown): boolean {
  return ["EPERM", "ENOTSUP", "ENOSYS", "EMLINK"].includes(errnoOf(error) ?? "");
}

/** `meant` is the file that an error is about. */
function writeDurably(path: string, bytes: string | Uint8Array, meant: string): void {
  onDisk("write", meant, () => {
    const descriptor = openSync(path, "wx");
    try {
      writeAll(descriptor, typeof bytes === "string" ? Buffer.from(bytes) : bytes);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  });
}

function createByOpen(path: string, bytes: string): boolean {
  try {
    writeFileSync(path, bytes, { flag: "wx", flush: true });
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}
