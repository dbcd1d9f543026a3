// Studies that a check does things to: real sweeps in processes of their own, beside one that nothing happens to.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readOutcome } from "../../src/study/outcome.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { tinyStudyText } from "../run/tiny_study.js";
import type { Tally } from "./check.js";

const command = join(import.meta.dirname, "../../bin/run.js");

export interface SweepOptions {
  readonly workers?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Seconds between checkpoints; 0.1 by default. */
  readonly checkpointEvery?: number;
  /** A shell line that runs "$0" "$@", with limits in front: `ulimit -f 8; exec "$0" "$@"`. */
  readonly shell?: string;
}

export interface Sweep extends ChildProcess {
  readonly pid: number;
  /** What it has written to stderr and stdout. */
  readonly said: () => string;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly said: string;
}

/** A study file in a folder, and sweeps over it. */
export class Bench {
  readonly folder: string;

  constructor(folder: string, text: string) {
    this.folder = folder;
    writeFileSync(join(folder, "study.yaml"), text);
  }

  /** The folder of the study called `name`. */
  study(name: string): string {
    return join(this.folder, name);
  }

  /** Starts a sweep in a process group of its own. */
  async start(name: string, options: SweepOptions = {}): Promise<Sweep> {
    const { workers = 2, args = [], checkpointEvery = 0.1 } = options;
    const flags = [
      "--out",
      name,
      "--workers",
      String(workers),
      "--checkpoint-every",
      String(checkpointEvery),
      "--device",
      "cpu", // where a GPU could be there, it is looked for first, in a process that is no worker
      "--quiet",
      ...args,
    ];
    return this.launch(["sweep", "study.yaml", ...flags], options);
  }

  /** Starts any command of layermix in this folder. */
  async launch(
    argv: readonly string[],
    { env = {}, shell }: Pick<SweepOptions, "env" | "shell"> = {},
  ): Promise<Sweep> {
    const line = [process.execPath, command, ...argv];
    const [program, ...rest] = shell === undefined ? line : ["bash", "-c", shell, ...line];
    const child = spawn(program!, rest, {
      cwd: this.folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", ...env },
    });
    let text = "";
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
    }
    await once(child, "spawn");
    return Object.assign(child, { said: () => text }) as unknown as Sweep;
  }

  /** Runs a sweep to its end. */
  async run(name: string, options: SweepOptions = {}): Promise<Ended> {
    return ended(await this.start(name, options));
  }

  /** Runs a sweep that must end well. */
  async finish(name: string, tally: Tally, options: SweepOptions = {}): Promise<void> {
    const { code, said } = await this.run(name, options);
    tally.expect(code === 0, `${name}: exit code ${code}\n${said}`);
  }

  /** The folders of the trials that there are. */
  trials(name: string): readonly string[] {
    const folder = studyLayout.trials(this.study(name));
    return existsSync(folder) ? readdirSync(folder).map((id) => join(folder, id)) : [];
  }
}

/** How often each trial was begun, by id, as the workers' logs have it. */
export function begun(study: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const logs = studyLayout.logs(study);
  for (const name of existsSync(logs) ? readdirSync(logs) : []) {
    for (const [, id] of readFileSync(join(logs, name), "utf8").matchAll(/ ([0-9a-f]{16}) claimed /g)) {
      counts.set(id!, (counts.get(id!) ?? 0) + 1);
    }
  }
  return counts;
}

export async function ended(sweep: Sweep): Promise<Ended> {
  if (isRunning(sweep)) await once(sweep, "close");
  return { code: sweep.exitCode, signal: sweep.signalCode, said: sweep.said() };
}

export function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** A study that trains for a few seconds. */
export function shortStudy(tokens: string, seeds = 1): string {
  return tinyStudyText({ tokens, seeds });
}

/** What must not depend on what happened: decisions, curves, rungs, results, ranking. By path in the study. */
export function fruits(study: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const take = (...names: string[]): void => {
    const path = join(study, ...names);
    if (existsSync(path)) found.set(join(...names), readFileSync(path, "latin1"));
  };
  take("ranking.json");
  take("ranking.csv");
  for (const log of readdirSync(study).filter((name) => name.startsWith("search-"))) {
    for (const decision of readdirSync(join(study, log)))
      if (!decision.includes(".tmp-")) take(log, decision);
  }
  const trials = studyLayout.trials(study);
  for (const id of existsSync(trials) ? readdirSync(trials) : []) {
    take("trials", id, "metrics.jsonl");
    take("trials", id, "result.json");
    for (const name of readdirSync(join(trials, id)))
      if (/^rung-\d+\.json$/.test(name)) take("trials", id, name);
  }
  return found;
}

/** Counts as wrong every byte in which the rough study differs from the calm one. */
export function compare(calm: string, rough: string, tally: Tally): void {
  const expected = fruits(calm);
  const got = fruits(rough);
  for (const [path, bytes] of expected) {
    if (!got.has(path)) tally.wrong.push(`${rough}: ${path} is missing`);
    else if (got.get(path) !== bytes) tally.wrong.push(`${rough}: ${path} has other bytes`);
  }
  for (const path of got.keys())
    if (!expected.has(path)) tally.wrong.push(`${rough}: ${path} should not be there`);
}

/** Remembers the files of trials as they were when the trials were first seen finished: they must stay the same files. */
export class FinishedWatch {
  readonly #study: string;
  readonly #seen = new Map<string, string>();

  constructor(study: string) {
    this.#study = study;
  }

  /** Looks at every trial; returns how many have finished. */
  look(tally: Tally): number {
    const trials = studyLayout.trials(this.#study);
    for (const id of existsSync(trials) ? readdirSync(trials) : []) {
      const trial = join(trials, id);
      const before = this.#seen.get(id);
      const now = readOutcome(trial) === undefined ? undefined : identity(trial);
      if (now === undefined) {
        if (before !== undefined) tally.lost++;
        this.#seen.delete(id);
      } else {
        if (before !== undefined && before !== now) tally.duplicated++;
        this.#seen.set(id, now);
      }
    }
    return this.#seen.size;
  }
}

/** Running a trial makes its files anew: each is written beside its place and renamed. */
function identity(trial: string): string {
  return [trialLayout.metrics(trial), trialLayout.result(trial)]
    .map((path) => statSync(path, { throwIfNoEntry: false }))
    .map((stat) => `${stat?.ino} at ${stat?.mtimeMs}`)
    .join(", ");
}
