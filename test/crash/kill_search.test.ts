// Searches under kill -9: a search that is killed again and again - its workers, itself, everything at once - decides what
// an undisturbed one decides, promotes from the same checkpoints, and ends with the same bytes.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readStudy } from "../../src/study/study_document.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { tinyStudyText } from "../run/tiny_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { childrenOf, randomNumbers, slay } from "./processes.js";

const command = join(import.meta.dirname, "../../bin/run.js");
const seed = Number(process.env.LAYERMIX_CRASH_SEED ?? Date.now() % 1_000_000);
const kills = 12;

/** Strategies whose decisions do not depend on timing: synchronous ones, and an asynchronous one with one worker. */
const searches = [
  { name: "halving", strategy: "{ halving: { rungs: 3, keep: 50% } }", workers: 2 },
  { name: "asynchronous halving, one worker", strategy: "{ asha: { rungs: 3, keep: 50% } }", workers: 1 },
  { name: "evolution", strategy: "{ evolution: { population: 5, generations: 2 } }", workers: 2 },
] as const;

describe(`kill -9 over a search (LAYERMIX_CRASH_SEED=${seed})`, function () {
  this.timeout(300_000);
  const folder = useTemporaryFolder();
  const running = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

  for (const { name, strategy, workers } of searches) {
    it(`leaves decisions, curves and ranking as they would have been: ${name}`, async () => {
      const text = tinyStudyText({ tokens: "60K", seeds: 1 })
        .replace("[0%, 25%, 50%]", "[0%, 12.5%, 25%, 37.5%, 50%]")
        .replace("model: { layers: 4, hidden: 16 }", "model: { hidden: 16 }")
        .replace("fill: mamba2", `fill: mamba2\n  strategy: ${strategy}`)
        .replace(/ {4}- \{ task: copy.*\n/, "");
      writeFileSync(join(folder(), "study.yaml"), text);
      const calm = await start("calm", workers);
      assert.deepEqual(await once(calm, "exit"), [0, null]);

      const random = randomNumbers(seed);
      let sweep = await start("rough", workers);
      for (let count = 0; count < kills; count++) {
        await sleep(150 + random() * 500);
        if (!running(sweep)) {
          if (sweep.exitCode === 0) break;
          sweep = await start("rough", workers);
          continue;
        }
        const own = childrenOf(sweep.pid!);
        const draw = random();
        const victims = draw < 0.4 ? own.slice(0, 1) : draw < 0.7 ? [sweep.pid!] : [sweep.pid!, ...own];
        for (const pid of victims) slay(pid);
        if (victims.includes(sweep.pid!) && running(sweep)) await once(sweep, "exit");
      }
      if (running(sweep)) await once(sweep, "exit");
      if (sweep.exitCode !== 0) {
        sweep = await start("rough", workers);
        assert.deepEqual(await once(sweep, "exit"), [0, null]);
      }
      const roots = ["calm", "rough"].map((root) => join(folder(), root)) as [string, string];
      for (const path of [studyLayout.document, studyLayout.ranking]) same(path(roots[0]), path(roots[1]));
      const [log] = readdirSync(roots[0]).filter((entry) => entry.startsWith("search-"));
      const decisions = readdirSync(join(roots[0], log!));
      assert.deepEqual(readdirSync(join(roots[1], log!)), decisions);
      for (const decision of decisions) same(join(roots[0], log!, decision), join(roots[1], log!, decision));
      for (const { id } of readStudy(roots[0]).trials) {
        const [a, b] = roots.map((root) => studyLayout.trial(root, id)) as [string, string];
        same(trialLayout.metrics(a), trialLayout.metrics(b));
        assert.equal(existsSync(trialLayout.result(a)), existsSync(trialLayout.result(b)));
        for (const file of readdirSync(a).filter((entry) => entry.startsWith("rung-")))
          same(join(a, file), join(b, file));
      }
    });
  }

  function same(a: string, b: string): void {
    assert.equal(readFileSync(b, "utf8"), readFileSync(a, "utf8"), b);
  }

  async function start(name: string, workers: number): Promise<ChildProcess> {
    const flags = ["--out", name, "--workers", String(workers), "--checkpoint-every", "0.1", "--quiet"];
    const child = spawn(process.execPath, [command, "sweep", "study.yaml", ...flags], {
      cwd: folder(),
      detached: true,
      stdio: ["ignore", "ignore", "inherit"],
    });
    await once(child, "spawn");
    return child;
  }
});
