// metrics.jsonl: what a trial measured, one JSON object per line, appended by the owner of the trial alone.
// Lines are a function of the trial and the step - no clock, no host - so a trial that was interrupted and resumed
// leaves the very bytes of one that was not. A process can die inside a write, so a last line without its newline does
// not count: readers skip it, the next owner cuts it off. The cut makes a new file and renames it over the old one, so
// an owner that was only thought dead goes on writing into a file that is no longer there.

import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync } from "node:fs";
import { discard, publish, temporaryPath, writeAll } from "./atomic_file.js";
import { errnoOf, onDisk, storageError } from "./storage_error.js";

/** One optimizer step. Full double precision; null where the number is not finite. */
export interface TrainLine {
  /** Steps taken, this one included. */
  readonly step: number;
  /** Tokens seen so far. */
  readonly tokens: number;
  /** Mean over the batch, nats. */
  readonly loss: number | null;
  /** Global norm before clipping. */
  readonly gradNorm: number | null;
  readonly learningRate: number;
  /** Sequences per forward pass, where memory did not suffice for those of the trial's definition. */
  readonly microBatch?: number;
}

/** One evaluation on held-out data, after `step` steps. */
export interface EvaluationLine {
  readonly step: number;
  readonly eval: Readonly<Record<string, unknown>>;
}

export type MetricsLine = TrainLine | EvaluationLine;

export function isEvaluation(line: MetricsLine): line is EvaluationLine {
  return "eval" in line;
}

/** The whole lines of a metrics file; none when there is no file. A torn last line is not a line. */
export function readMetrics(path: string): MetricsLine[] {
  return parseMetrics(readBytesIfPresent(path)) ?? [];
}

/** Parses whole lines; undefined when a line in the middle is damaged, which no crash of ours can cause. */
export function parseMetrics(bytes: Uint8Array): MetricsLine[] | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  try {
    return whole
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as MetricsLine);
  } catch {
    return undefined;
  }
}

/** A point in the file that a checkpoint can name and a resume can check. */
export interface MetricsMark {
  readonly bytes: number;
  /** SHA-256 of those bytes, hex. */
  readonly sha256: string;
}

/** The lines up to a mark, or undefined when the file does not hold them (lost in a power failure, or damaged). */
export function readMetricsAt(path: string, mark: MetricsMark): MetricsLine[] | undefined {
  const bytes = readBytesIfPresent(path);
  if (bytes.byteLength < mark.bytes) return undefined;
  const prefix = bytes.subarray(0, mark.bytes);
  if (createHash("sha256").update(prefix).digest("hex") !== mark.sha256) return undefined;
  return parseMetrics(prefix);
}

/** The trial has passed to another owner: its metrics file must not be replaced any more. */
export class NoLongerOurs extends Error {}

/** The writing end. Owns a file descriptor: close() it. */
export class MetricsLog {
  readonly path: string;
  readonly #descriptor: number;
  readonly #hash = createHash("sha256");
  #bytes = 0;

  /**
   * Starts from the first `keepBytes` bytes of what is there (0: from nothing).
   * @param isOurs asked in the last moment before the file is put into its place: an owner that was stopped while it began may have
   *   a successor by then, whose curve it would replace. Throws NoLongerOurs.
   */
  constructor(path: string, keepBytes: number, isOurs: () => boolean = () => true) {
    this.path = path;
    const kept = keepBytes === 0 ? new Uint8Array() : readBytesIfPresent(path).subarray(0, keepBytes);
    const temporary = temporaryPath(path);
    this.#descriptor = onDisk("write", temporary, () => openSync(temporary, "wx"));
    this.#write(kept);
    this.sync();
    if (!isOurs()) {
      this.close();
      discard(temporary);
      throw new NoLongerOurs();
    }
    publish(temporary, path);
  }

  append(line: MetricsLine): void {
    this.#write(Buffer.from(`${JSON.stringify(line)}\n`));
  }

  /** Makes everything appended so far durable, and names that point. */
  sync(): MetricsMark {
    onDisk("write", this.path, () => fsyncSync(this.#descriptor));
    return { bytes: this.#bytes, sha256: this.#hash.copy().digest("hex") };
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #write(bytes: Uint8Array): void {
    onDisk("write", this.path, () => writeAll(this.#descriptor, bytes));
    this.#hash.update(bytes);
    this.#bytes += bytes.byteLength;
  }
}

function readBytesIfPresent(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return new Uint8Array();
    throw storageError("read", path, error);
  }
}
