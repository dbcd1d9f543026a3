// Losses and gradients that stop being numbers, at many different steps: the trial's state is `diverged`, its last good checkpoint stays, the
// candidate is ranked behind those that finished and never hidden, and no file holds what JSON does not know.

import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openSafetensors } from "../../src/interop/safetensors.js";
import { isFailure, readOutcome } from "../../src/study/outcome.js";
import { readStudy } from "../../src/study/study_document.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { type Check, Tally } from "./check.js";
import { Bench, shortStudy } from "./studies.js";

export const divergence: Check = {
  name: "losses that are not numbers",
  what: "weights that grow until the loss is lost, sooner or later: state, checkpoint, rank and JSON of each trial",
  full: 60,
  small: 6,
  async run(count, { folder, random, progress }) {
    const tally = new Tally();
    const steps = new Set<number>();
    let finished = 0;
    // A few trials may all be spared: on until one has diverged.
    for (let round = 0; (round < 10 && steps.size === 0) || tally.done < count; round++) {
      // AdamW multiplies weights by 1 - lr * weight_decay at every step: beyond 2 they grow, and the loss goes sooner or later.
      const decay = (41 + 30 * random()).toFixed(2);
      const text = shortStudy("30K").replace(
        "lr: 1e-3",
        `lr: 0.05, weight_decay: ${decay}, schedule: constant`,
      );
      const home = join(folder, String(round));
      const bench = new Bench(fresh(home), text);
      // A checkpoint as often as the disk allows: the last one before the loss went must be there.
      const { code, said } = await bench.run("out", { args: ["--json"], checkpointEvery: 1e-6 });
      tally.expect(code === 0, `exit code ${code}\n${said}`);
      if (code !== 0) break;
      const study = bench.study("out");
      const { ranking, trials } = JSON.parse(said).data;
      const document = readStudy(study);
      tally.expect(ranking.length === document.candidates.length, "a candidate is missing from the ranking");
      const states: string[] = ranking.map(({ state }: { state: string }) => state);
      const firstBehind = states.findIndex((state) => state !== "complete");
      tally.expect(
        firstBehind === -1 || states.slice(firstBehind).every((state) => state !== "complete"),
        `a candidate that diverged is ranked before one that did not: ${states.join(", ")}`,
      );
      let diverged = 0;
      for (const { id } of document.trials) {
        const trial = studyLayout.trial(study, id);
        const outcome = readOutcome(trial);
        if (outcome === undefined || isFailure(outcome)) tally.lost++;
        else if (outcome.status === "done") finished++;
        else {
          diverged++;
          steps.add(outcome.steps);
          checkCheckpoint(trial, outcome.steps, tally);
        }
        tally.done++;
      }
      tally.expect(
        trials.diverged === diverged,
        `${trials.diverged} diverged trials were reported, ${diverged} are there`,
      );
      checkJson(study, tally);
      progress(tally.done);
    }
    tally.expect(steps.size > 0, "no trial diverged");
    tally.notes.push(`diverged after ${steps.size} different numbers of steps; ${finished} trials finished`);
    return tally;
  },
};

function fresh(folder: string): string {
  mkdirSync(folder);
  return folder;
}

/** The checkpoint of the step before is there and holds numbers only. */
function checkCheckpoint(trial: string, steps: number, tally: Tally): void {
  const path = trialLayout.checkpoint(trial);
  if (steps < 2) return; // nothing was good before
  if (!existsSync(path)) {
    tally.wrong.push(`${path} is missing after ${steps} steps`);
    return;
  }
  const file = openSafetensors(path);
  try {
    tally.expect(Number(file.metadata.step) < steps, `${path}: saved after the loss had gone`);
    for (const name of file.tensors.keys()) {
      const bytes = file.read(name);
      const numbers = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      tally.expect(numbers.every(Number.isFinite), `${path}: ${name} is not finite`);
    }
  } finally {
    file.close();
  }
}

/** Every document and every line of every log is JSON, without NaN. */
function checkJson(folder: string, tally: Tally): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const texts = entry.name.endsWith(".json")
      ? [readFileSync(path, "utf8")]
      : entry.name.endsWith(".jsonl")
        ? readFileSync(path, "utf8").trim().split("\n")
        : [];
    for (const text of texts) {
      try {
        JSON.parse(text);
      } catch {
        tally.wrong.push(`${path} is not JSON`);
      }
    }
  }
}
