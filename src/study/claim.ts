// Who works on a trial. Claims are numbered generations in trials/ID/claims/, and files there are only ever added:
//   0001.json   the claim: created exclusively, with its content, by the owner; the owner touches it as a heartbeat
//   0001.ended  why generation 1 is over: written once, by the owner or by whoever proved it dead or silent
// The trial is free when the highest generation has ended (or there is none), and taking it is the exclusive creation
// of the next one. That is a compare-and-set: a process that decided on stale knowledge tries to create a generation
// that already exists, and loses. Nothing is renamed or removed, so nobody can steal a claim that has just been taken.

import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { createFileExclusive, readTextIfPresent } from "./atomic_file.js";
import { liveness, type ProcessIdentity } from "./process_identity.js";
import { errnoOf, onDisk, storageError } from "./storage_error.js";

/** Owners touch their claim this often. */
export const heartbeatMilliseconds = 2_000;
/** An owner whose death cannot be proven is given up after this long without a heartbeat. */
export const silenceMilliseconds = 60_000;

/** Why a claim ended: finished or given back by its owner; its owner found dead; or silent for too long. */
export type ClaimEnd = "finished" | "released" | "dead" | "silent";

/** The latest claim of a trial, as the files show it. */
export interface ClaimView {
  readonly generation: number;
  /** Absent in the instant between creation and content on file systems without links. */
  readonly record: ClaimRecord | undefined;
  readonly ended: boolean;
  /** Time of the last heartbeat, by the clock of the owner's machine. */
  readonly heartbeatAt: number;
}

export interface ClaimRecord {
  readonly token: string;
  readonly owner: ProcessIdentity;
  /** The process that waits for the owner. While it lives, it is the one to end the claim of a dead owner. */
  readonly supervisor?: ProcessIdentity;
  /** ISO 8601; for people. */
  readonly time: string;
}

/** The latest claim in a claims folder, or undefined when the trial was never claimed. */
export function readClaim(folder: string): ClaimView | undefined {
  const { generation, ended } = latestGeneration(folder);
  if (generation === 0) return undefined;
  const path = claimPath(folder, generation);
  const stat = onDisk("read", path, () => statSync(path));
  return { generation, record: parseRecord(readTextIfPresent(path)), ended, heartbeatAt: stat.mtimeMs };
}

/**
 * Whether the trial of this claim is free: the owner has left, or is provably dead and so is its supervisor. A living
 * supervisor must see the death first: it decides whether the trial is to blame, and then ends the claim.
 */
export function isOver({ ended, record }: ClaimView, here: ProcessIdentity): boolean {
  if (ended || record === undefined) return ended;
  if (liveness(record.owner, here) !== "dead") return false;
  return record.supervisor === undefined || liveness(record.supervisor, here) !== "alive";
}

/**
 * Claims a trial, or returns undefined when somebody else has it. A claim whose owner is provably dead is ended and
 * succeeded. Of any number of processes that try at once, exactly one gets the claim.
 */
export function tryClaim(
  folder: string,
  here: ProcessIdentity,
  supervisor?: ProcessIdentity,
): Claim | undefined {
  onDisk("write", folder, () => mkdirSync(folder, { recursive: true }));
  const current = readClaim(folder);
  if (current !== undefined && !isOver(current, here)) return undefined;
  if (current !== undefined && !current.ended) endClaim(folder, current.generation, "dead");
  const generation = (current?.generation ?? 0) + 1;
  const record: ClaimRecord = {
    token: randomBytes(8).toString("hex"),
    owner: here,
    ...(supervisor === undefined ? {} : { supervisor }),
    time: new Date().toISOString(),
  };
  const created = createFileExclusive(claimPath(folder, generation), `${JSON.stringify(record)}\n`);
  return created ? new Claim(folder, generation, record.token) : undefined;
}

/** Marks a generation as over; the first reason given stands. */
export function endClaim(folder: string, generation: number, end: ClaimEnd): void {
  createFileExclusive(endPath(folder, generation), `${end}\n`);
}

/** A claim this process holds. */
export class Claim {
  readonly folder: string;
  readonly generation: number;
  readonly token: string;

  constructor(folder: string, generation: number, token: string) {
    this.folder = folder;
    this.generation = generation;
    this.token = token;
  }

  /** Touches the claim. False when it is no longer ours: somebody thought us dead, and we must stop writing. */
  beat(): boolean {
    const now = new Date();
    try {
      utimesSync(claimPath(this.folder, this.generation), now, now);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw storageError("write", this.folder, error);
    }
    const { generation, ended } = latestGeneration(this.folder);
    return generation === this.generation && !ended;
  }

  end(reason: "finished" | "released"): void {
    endClaim(this.folder, this.generation, reason);
  }
}

/**
 * Tells silent owners from slow clocks: what counts is how long this process has seen a heartbeat stand still, by its
 * own monotonic clock. Clock skew between machines, and suspended laptops, then never look like a death.
 */
export class HeartbeatWatch {
  readonly #seen = new Map<string, { readonly heartbeatAt: number; readonly since: number }>();

  /** Milliseconds the heartbeat of this claim has stood still under our eyes. `now` is monotonic. */
  silence(trialId: string, claim: ClaimView, now: number): number {
    const key = `${trialId}/${claim.generation}`;
    const last = this.#seen.get(key);
    if (last !== undefined && last.heartbeatAt === claim.heartbeatAt) return now - last.since;
    this.#seen.set(key, { heartbeatAt: claim.heartbeatAt, since: now });
    return 0;
  }
}

const generationDigits = 4;
const claimPath = (folder: string, generation: number): string =>
  join(folder, `${String(generation).padStart(generationDigits, "0")}.json`);
const endPath = (folder: string, generation: number): string =>
  join(folder, `${String(generation).padStart(generationDigits, "0")}.ended`);

function latestGeneration(folder: string): { readonly generation: number; readonly ended: boolean } {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return { generation: 0, ended: false };
    throw storageError("read", folder, error);
  }
  let generation = 0;
  let lastEnded = 0;
  for (const name of names) {
    const match = /^(\d{4,9})\.(json|ended)$/.exec(name);
    if (match === null) continue;
    if (match[2] === "json") generation = Math.max(generation, Number(match[1]));
    else lastEnded = Math.max(lastEnded, Number(match[1]));
  }
  return { generation, ended: lastEnded >= generation && generation > 0 };
}

function parseRecord(text: string | undefined): ClaimRecord | undefined {
  if (text === undefined) return undefined;
  try {
    const record = JSON.parse(text) as ClaimRecord;
    return typeof record?.owner?.pid === "number" ? record : undefined;
  } catch {
    return undefined;
  }
}
