// Tells people on stderr how a sweep goes: a live display on a terminal, else one line per trial that ends.

import type { PoolEvent } from "../../run/pool.js";
import type { PreparedStudy } from "../../search/prepare_study.js";
import type { TrialStatus } from "../../study/trial_status.js";
import type { Metrics, PrimaryMetric } from "../../task/task.js";
import { LiveDisplay } from "./live_display.js";
import { SweepProgress } from "./sweep_progress.js";
import { trialNames } from "./trial_names.js";

export class SweepReporter {
  readonly #progress: SweepProgress;
  readonly #names: ReadonlyMap<string, readonly string[]>;
  readonly #primary: ReadonlyMap<string, PrimaryMetric>;
  readonly #display: LiveDisplay | undefined;
  readonly #note: (text: string) => void;
  /** Trials that this session has worked on; the others had ended before, or were run elsewhere. */
  readonly #touched = new Set<string>();
  #reused = 0;

  constructor(
    { document, trials }: PreparedStudy,
    options: { readonly interactive: boolean; readonly note: (text: string) => void },
  ) {
    this.#progress = new SweepProgress(document, trials);
    this.#names = trialNames(document);
    this.#primary = new Map(document.trials.map(({ id, task }) => [id, document.tasks[task]!.primary]));
    this.#note = options.note;
    if (options.interactive) {
      this.#display = new LiveDisplay(process.stderr, (width) => this.#progress.lines(seconds(), width));
    }
  }

  apply(event: PoolEvent): void {
    this.#progress.apply(event, seconds());
    switch (event.kind) {
      case "claimed":
        if (event.step > 0) this.say(`${this.#nameOf(event.id)}: resumed at step ${event.step}`);
        this.#touched.add(event.id);
        return;
      case "settled":
        if (this.#touched.has(event.id) || event.status.state === "failed") this.#printEnd(event.status);
        else this.#reused++;
        return;
      case "died": {
        const then = event.blamed === undefined ? "it is taken up again" : "this counts against the trial";
        this.say(`${this.#nameOf(event.trial)}: the worker ended with ${event.end}; ${then}`);
        return;
      }
      case "ready":
      case "progress":
      case "ended":
      case "fatal":
        return;
    }
  }

  /** Takes the live lines away. */
  close(): void {
    this.#display?.close();
    if (this.#reused > 0) this.#note(`${this.#reused} finished trials were there already`);
  }

  #printEnd(status: TrialStatus): void {
    const count = `[${this.#progress.settled}/${this.#progress.total}]`;
    this.say(`${count} ${this.#nameOf(status.id)}: ${this.#outcomeText(status)}`);
  }

  #outcomeText({ id, state, outcome }: TrialStatus): string {
    if (outcome === undefined) return state;
    if ("code" in outcome) return `failed, ${outcome.code} ${outcome.message}`;
    if (outcome.metrics === undefined) return `diverged after ${outcome.steps} steps`;
    return metricsText(outcome.metrics, this.#primary.get(id));
  }

  #nameOf(id: string): string {
    return (this.#names.get(id) ?? [id]).join(" ");
  }

  /** A line that stays, above the live display. */
  say(text: string): void {
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
