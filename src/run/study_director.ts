// Says what a study is to run, from what is in its folder: reads results, takes the decisions that have become possible
// and writes them down before anybody acts on them, keeps study.json and the trials' definitions up to date. Any number
// of processes may direct the same folder: they follow one log of decisions.

import { type Decide, decider, decidesLater } from "../search/decide.js";
import type { Decision } from "../search/decision.js";
import { searchKey } from "../search/prepare_study.js";
import type { StudySpace } from "../search/study_space.js";
import { type Known, type StudyState, studyState } from "../search/study_state.js";
import { createStudyFolder } from "../study/create_study.js";
import { DecisionLog } from "../study/decision_log.js";
import { isFailure, readOutcome, readTiming } from "../study/outcome.js";
import { readRung } from "../study/rung.js";
import type { StudyDocument } from "../study/study_document.js";
import { studyLayout } from "../study/study_layout.js";
import type { TrialFile, TrialJob } from "../study/trial.js";
import type { Metrics } from "../task/task.js";
import type { Director, WorkList } from "./pool.js";

export interface DirectorOptions {
  readonly folder: string;
  readonly space: StudySpace;
  /** The text of study.yaml. */
  readonly source: string;
  /** The study has grown: further candidates, trials or seeds. */
  readonly onGrowth: (document: StudyDocument, trials: readonly TrialFile[]) => void;
}

/** Between two looks at the hours of a study that has a budget of them; a trial that ends is looked at at once. */
const hoursMilliseconds = 2_000;

export class StudyDirector implements Director {
  readonly #options: DirectorOptions;
  readonly #decide: Decide;
  readonly #log: DecisionLog<Decision> | undefined;
  readonly #known = new Map<string, Metrics | "failed">();
  readonly #written = new Set<string>();
  /** Where decisions follow from the study alone, they need not be written down. */
  readonly #fixed: Decision[] = [];
  #state: StudyState | undefined;
  #work: WorkList = { jobs: [], state: "open" };
  #stale = true;
  #hoursAt = Number.NEGATIVE_INFINITY;

  constructor(options: DirectorOptions) {
    this.#options = options;
    this.#decide = decider(options.space);
    if (decidesLater(options.space)) this.#log = new DecisionLog(options.folder, searchKey(options.space));
  }

  /** The study as it stands; next() must have been asked before. */
  get document(): StudyDocument {
    return this.#state!.document;
  }

  /** A job is done: what depends on it may be decided. */
  settled(_: TrialJob): void {
    this.#stale = true;
    this.#hoursAt = Number.NEGATIVE_INFINITY;
  }

  next(idle: number): WorkList {
    if (this.#state === undefined || this.#mayChange(idle)) this.#renew(idle);
    if (this.#outOfTime()) this.#work = { ...this.#work, state: "halted" };
    return this.#work;
  }

  /** Results, decisions of other processes and - for an asynchronous strategy - idle workers can lead to more. */
  #mayChange(idle: number): boolean {
    if (this.#work.state !== "open") return false;
    if (this.#stale || (idle > 0 && this.#options.space.strategy.kind === "asha")) return true;
    return this.#log !== undefined && this.#log.read().length > this.#state!.document.search.decisions.length;
  }

  #renew(idle: number): void {
    for (;;) {
      const decisions = this.#decisions();
      const state = studyState(this.#options.space, decisions, this.#lookUp, false);
      const next = state.exhausted ? "done" : this.#decide(state, idle);
      if (typeof next === "string") {
        const over = next === "done";
        const closed = over && !state.pending;
        this.#keep(over ? studyState(this.#options.space, decisions, this.#lookUp, true) : state, closed);
        return;
      }
      if (this.#log === undefined) this.#fixed.push(next);
      else this.#log.append(next);
    }
  }

  #decisions(): readonly Decision[] {
    return [...(this.#log?.read() ?? this.#fixed)];
  }

  /** Writes what is new and makes it the work. */
  #keep(state: StudyState, closed: boolean): void {
    const fresh = state.files.filter(({ id }) => !this.#written.has(id));
    createStudyFolder(
      this.#options.folder,
      { document: state.document, trials: fresh },
      this.#options.source,
    );
    for (const { id } of fresh) this.#written.add(id);
    this.#state = state;
    const same = sameJobs(state.jobs, this.#work.jobs);
    this.#work = { jobs: same ? this.#work.jobs : state.jobs, state: closed ? "closed" : "open" };
    this.#stale = false;
    if (!same) this.#options.onGrowth(state.document, state.files);
  }

  readonly #lookUp: Known = (id, step) => {
    const key = `${id}@${step}`;
    const known = this.#known.get(key) ?? this.#read(id, step);
    if (known !== undefined) this.#known.set(key, known);
    return known;
  };

  /** A rung's own file, or the line of a result that lies at its step; anything else that has ended is of no use there. */
  #read(id: string, step: number): Metrics | "failed" | undefined {
    const trial = studyLayout.trial(this.#options.folder, id);
    const rung = readRung(trial, step);
    if (rung !== undefined) return rung.metrics;
    const outcome = readOutcome(trial);
    if (outcome === undefined) return undefined;
    if (isFailure(outcome)) return "failed";
    const metrics = outcome.evaluations.find((evaluation) => evaluation.step === step)?.metrics;
    return metrics !== undefined && Number.isFinite(metrics.loss) ? metrics : "failed";
  }

  #outOfTime(): boolean {
    const budget = this.#options.space.spec.sweep?.budget;
    if (budget?.unit !== "hours" || performance.now() - this.#hoursAt < hoursMilliseconds) return false;
    this.#hoursAt = performance.now();
    return this.hoursSpent() >= budget.limit;
  }

  /** Hours of training and evaluation so far, over all trials of the study. */
  hoursSpent(): number {
    const ids = new Set(this.#work.jobs.map(({ id }) => id));
    let seconds = 0;
    for (const id of ids) {
      const timing = readTiming(studyLayout.trial(this.#options.folder, id));
      seconds += (timing?.trainSeconds ?? 0) + (timing?.evaluationSeconds ?? 0);
    }
    return seconds / 3_600;
  }
}

function sameJobs(a: readonly TrialJob[], b: readonly TrialJob[]): boolean {
  return a.length === b.length && a.every(({ id, until }, i) => id === b[i]!.id && until === b[i]!.until);
}
