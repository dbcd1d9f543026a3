// Where a sweep stands, as data: fed with the pool's events, asked for lines of text. No clock and no terminal in here;
// both are passed in. One line per running trial, and a bar over all trials whose ETA counts the tokens trained so far.

import { formatCount } from "../../report/format.js";
import type { PoolEvent } from "../../run/pool.js";
import type { StudyDocument } from "../../study/study_document.js";
import type { TrialFile } from "../../study/trial.js";
import { trialTokens } from "../../study/trial.js";
import { clockTime } from "./clock_time.js";
import { trialNames } from "./trial_names.js";

interface RunningTrial {
  step: number;
  /** Steps it had when this session took it up. */
  firstStep: number;
  loss: number | null;
  tokensPerSecond: number;
}

interface TrialInfo {
  readonly name: readonly string[];
  /** It is to reach for now, and what that takes. */
  readonly steps: number;
  readonly tokens: number;
}

const barCells = 24;

export class SweepProgress {
  #trials: ReadonlyMap<string, TrialInfo> = new Map();
  readonly #running = new Map<string, RunningTrial>();
  /** The step each trial has settled at; infinite for one that has ended. */
  readonly #settled = new Map<string, number>();
  /** Tokens trained in this session by trials that are no longer running. */
  #tokensBehind = 0;
  /** Monotonic seconds of the first training step seen. */
  #begin: number | undefined;

  constructor(document: StudyDocument, trials: readonly TrialFile[]) {
    this.grow(document, trials);
  }

  /** The study has got further trials, or trials have got further to go. */
  grow(document: StudyDocument, trials: readonly TrialFile[]): void {
    const names = trialNames(document);
    const until = new Map(document.trials.map((trial) => [trial.id, trial.until]));
    this.#trials = new Map(
      trials.map(({ id, definition }) => {
        const steps = until.get(id) ?? definition.steps;
        const tokens = (trialTokens(definition) / definition.steps) * steps;
        return [id, { name: names.get(id) ?? [id], steps, tokens }];
      }),
    );
  }

  /** @param now monotonic, in seconds. */
  apply(event: PoolEvent, now: number): void {
    switch (event.kind) {
      case "claimed":
        this.#running.set(event.id, {
          step: event.step,
          firstStep: event.step,
          loss: null,
          tokensPerSecond: 0,
        });
        this.#begin ??= now;
        return;
      case "progress": {
        const running = this.#running.get(event.id);
        if (running !== undefined) Object.assign(running, event);
        return;
      }
      case "ended":
        this.#retire(event.id);
        return;
      case "died":
        this.#retire(event.trial);
        return;
      case "settled":
        this.#retire(event.job.id);
        this.#settled.set(
          event.job.id,
          event.status.outcome === undefined ? event.job.until : Number.POSITIVE_INFINITY,
        );
        return;
      case "idle":
      case "ready":
      case "preparing":
      case "fatal":
        return;
    }
  }

  get settled(): number {
    return [...this.#trials.keys()].filter((id) => this.#hasSettled(id)).length;
  }

  get total(): number {
    return this.#trials.size;
  }

  /** Seconds until every trial has ended, at the pace of this session; undefined before there is one. */
  etaSeconds(now: number): number | undefined {
    if (this.#begin === undefined) return undefined;
    let trained = this.#tokensBehind;
    let open = 0;
    for (const [id, trial] of this.#trials) if (!this.#hasSettled(id)) open += trial.tokens;
    for (const [id, running] of this.#running) {
      trained += this.#tokensOf(id, running.step - running.firstStep);
      open -= this.#tokensOf(id, running.step);
    }
    const seconds = now - this.#begin;
    if (trained <= 0 || seconds < 1) return undefined;
    return (open * seconds) / trained;
  }

  /** The live display, at most `width` columns wide. */
  lines(now: number, width: number): string[] {
    const rows = [...this.#running].map(([id, running]) => this.#row(id, running));
    const widthOf = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0));
    const running = rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widthOf(i))).join("  ")}`);
    return [...running, this.#overall(now)].map((line) => line.trimEnd().slice(0, Math.max(1, width)));
  }

  #row(id: string, running: RunningTrial): string[] {
    const info = this.#trials.get(id);
    if (info === undefined) return [id];
    const { step, loss, tokensPerSecond } = running;
    const left =
      tokensPerSecond === 0 ? undefined : (info.tokens - this.#tokensOf(id, step)) / tokensPerSecond;
    return [
      ...info.name,
      `step ${String(step).padStart(String(info.steps).length)}/${info.steps}`,
      `loss ${loss === null ? "-" : loss.toFixed(4)}`,
      tokensPerSecond === 0 ? "" : `${formatCount(tokensPerSecond)} tok/s`,
      left === undefined ? "" : `eta ${clockTime(left)}`,
    ];
  }

  /** Where all of it stands, for a log that nobody redraws. */
  summary(now: number): string {
    const eta = this.etaSeconds(now);
    const rest = eta === undefined ? "" : `, about ${clockTime(eta)} to go`;
    return `${Math.floor(this.#share() * 100)}% of the tokens, ${this.settled}/${this.total} trials${rest}`;
  }

  #overall(now: number): string {
    const { settled, total } = this;
    const share = this.#share();
    const cells = Math.floor(share * barCells);
    const eta = this.etaSeconds(now);
    const bar = `[${"=".repeat(cells)}${" ".repeat(barCells - cells)}]`;
    const rest = eta === undefined ? "" : `  eta ${clockTime(eta)}`;
    return `${bar} ${String(Math.floor(share * 100)).padStart(3)}%  ${settled}/${total} trials${rest}`;
  }

  /** Of the tokens of all trials, those that are behind. */
  #share(): number {
    let done = 0;
    let all = 0;
    for (const [id, trial] of this.#trials) {
      all += trial.tokens;
      const running = this.#running.get(id);
      if (this.#hasSettled(id)) done += trial.tokens;
      else if (running !== undefined) done += this.#tokensOf(id, running.step);
    }
    return all === 0 ? 1 : done / all;
  }

  /** Whether a trial goes on from where it was to pause, and not from where something stopped it. */
  hasPausedAt(id: string, step: number): boolean {
    return this.#settled.get(id) === step;
  }

  #hasSettled(id: string): boolean {
    return (this.#settled.get(id) ?? 0) >= (this.#trials.get(id)?.steps ?? 0);
  }

  #retire(id: string): void {
    const running = this.#running.get(id);
    if (running === undefined) return;
    this.#tokensBehind += this.#tokensOf(id, running.step - running.firstStep);
    this.#running.delete(id);
  }

  #tokensOf(id: string, steps: number): number {
    const info = this.#trials.get(id);
    return info === undefined ? 0 : (info.tokens / info.steps) * steps;
  }
}
