// Tells people on stderr how a sweep goes: a live display on a terminal, else one line per trial that ends, and where the
// whole stands when a minute has passed without one.

import { counted } from "../../report/format.js";
import type { PoolEvent } from "../../run/pool.js";
import type { PreparedStudy } from "../../search/prepare_study.js";
import type { StudyDocument } from "../../study/study_document.js";
import type { TrialFile, TrialJob } from "../../study/trial.js";
import type { TrialStatus } from "../../study/trial_status.js";
import type { Metrics, PrimaryMetric } from "../../task/task.js";
import { LiveDisplay } from "./live_display.js";
import { SweepProgress } from "./sweep_progress.js";
import { trialNames } from "./trial_names.js";

/** A log says at least this often that the sweep goes on. */
const quietSeconds = 60;

export class SweepReporter {
  readonly #progress: SweepProgress;
  #names: ReadonlyMap<string, readonly string[]> = new Map();
  #primary: ReadonlyMap<string, PrimaryMetric> = new Map();
  readonly #display: LiveDisplay | undefined;
  readonly #note: (text: string) => void;
  /** Monotonic, in seconds. */
  readonly #now: () => number;
  /** When something was said last. */
  #saidAt: number;
  /** Trials that this session has worked on; the others had ended before, or were run elsewhere. */
  readonly #touched = new Set<string>();
  /** Decisions told so far; undefined before the study has been seen in its folder. */
  #told: number | undefined;
  #reused = 0;

  constructor(
    { document, trials }: Pick<PreparedStudy, "document" | "trials">,
    options: {
      readonly interactive: boolean;
      readonly note: (text: string) => void;
      readonly now?: () => number;
    },
  ) {
    this.#now = options.now ?? seconds;
    this.#saidAt = this.#now();
    this.#progress = new SweepProgress(document, trials);
    this.#rename(document);
    this.#note = options.note;
    if (options.interactive) {
      this.#display = new LiveDisplay(process.stderr, (width) => this.#progress.lines(this.#now(), width));
    }
  }

  /** The study has grown; what was decided is told, except what was decided before this session. */
  grow(document: StudyDocument, trials: readonly TrialFile[]): void {
    this.#rename(document);
    this.#progress.grow(document, trials);
    const { decisions } = document.search;
    if (this.#told !== undefined)
      for (const reason of decisions.slice(this.#told)) this.say(`decided: ${reason}`);
    this.#told = decisions.length;
  }

  #rename(document: StudyDocument): void {
    this.#names = trialNames(document);
    const places = [...(document.pilots ?? []), ...document.trials];
    this.#primary = new Map(places.map(({ id, task }) => [id, document.tasks[task]!.primary]));
  }

  apply(event: PoolEvent): void {
    this.#progress.apply(event, this.#now());
    switch (event.kind) {
      case "claimed":
        if (event.step > 0 && !this.#progress.hasPausedAt(event.id, event.step))
          this.say(`${this.#nameOf(event.id)}: resumed at step ${event.step}`);
        this.#touched.add(event.id);
        return;
      case "settled":
        if (this.#touched.has(event.job.id) || event.status.state === "failed")
          this.#printEnd(event.status, event.job);
        else this.#reused++;
        return;
      case "died": {
        const then = event.blamed === undefined ? "it is taken up again" : "this counts against the trial";
        this.say(`${this.#nameOf(event.trial)}: the worker ended with ${event.end}; ${then}`);
        return;
      }
      case "idle":
      case "ready":
      case "preparing":
      case "progress":
        if (this.#display === undefined && this.#now() - this.#saidAt >= quietSeconds)
          this.say(this.#progress.summary(this.#now()));
        return;
      case "ended":
      case "fatal":
        return;
    }
  }

  /** Takes the live lines away. */
  close(): void {
    this.#display?.close();
    if (this.#reused > 0)
      this.#note(
        `${counted(this.#reused, "finished trial")} ${this.#reused === 1 ? "was" : "were"} there already`,
      );
  }

  #printEnd(status: TrialStatus, { until }: TrialJob): void {
    const count = `[${this.#progress.settled}/${this.#progress.total}]`;
    const { rung } = status;
    const text =
      rung === undefined
        ? this.#outcomeText(status)
        : `step ${until}, ${metricsText(rung.metrics, this.#primary.get(status.id))}`;
    this.say(`${count} ${this.#nameOf(status.id)}: ${text}`);
  }

  #outcomeText({ id, state, outcome }: TrialStatus): string {
    if (outcome === undefined) return state;
    if ("code" in outcome) return `${state}, ${outcome.code} ${outcome.message}`;
    if (outcome.metrics === undefined) return `diverged after ${outcome.steps} steps`;
    return metricsText(outcome.metrics, this.#primary.get(id));
  }

  #nameOf(id: string): string {
    return (this.#names.get(id) ?? [id]).join(" ");
  }

  /** A line that stays, above the live display. */
  say(text: string): void {
    this.#saidAt = this.#now();
    if (this.#display === undefined) this.#note(text);
    else this.#display.print(text);
  }
}

/** "accuracy 0.4120, loss 2.3100": the task's own figure first. */
function metricsText(metrics: Metrics, primary: PrimaryMetric | undefined): string {
  const loss = `loss ${metrics.loss.toFixed(4)}`;
  const value = primary === undefined || primary.name === "loss" ? undefined : metrics[primary.name];
  return value === undefined ? loss : `${primary?.title} ${value.toFixed(4)}, ${loss}`;
}

function seconds(): number {
  return performance.now() / 1_000;
}
