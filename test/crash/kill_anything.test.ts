// The promise that everything else here is for: kill -9 any process of a sweep, at any moment, as often as you like -
// run the same command again, and the ranking is byte for byte that of a sweep nothing happened to. No finished trial is
// run again, and every loss curve is the same to the last bit.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readOutcome } from "../../src/study/outcome.js";
import { distinctTrials, readStudy } from "../../src/study/study_document.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { tinyStudyText } from "../run/tiny_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { childrenOf, randomNumbers, slay } from "./processes.js";

const kills = 30;
const command = join(import.meta.dirname, "../../bin/run.js");
const seed = Number(process.env.LAYERMIX_CRASH_SEED ?? Date.now() % 1_000_000);

describe(`thirty kills -9 over one study (LAYERMIX_CRASH_SEED=${seed})`, function () {
  this.timeout(300_000);
  const folder = useTemporaryFolder();
  const study = (name: string): string => join(folder(), name);

  /** Starts the sweep in a process group of its own. */
  async function start(name: string): Promise<ChildProcess & { pid: number }> {
    const child = spawn(
      process.execPath,
      [
        command,
        "sweep",
        "study.yaml",
        "--out",
        name,
        "--workers",
        "2",
        "--checkpoint-every",
        "0.1",
        "--quiet",
      ],
      { cwd: folder(), detached: true, stdio: ["ignore", "ignore", "inherit"] },
    );
    await once(child, "spawn");
    return child as ChildProcess & { pid: number };
  }
  const running = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

  it("leave the bytes of the ranking, and of every result and loss curve, as they would have been", async () => {
    writeFileSync(join(folder(), "study.yaml"), tinyStudyText({ tokens: "250K", seeds: 2 }));
    const calm = await start("calm");
    assert.deepEqual(await once(calm, "exit"), [0, null]);

    const random = randomNumbers(seed);
    const finished = new Map<string, string>(); // the files of each trial when it was first seen finished
    const struck = { worker: 0, sweep: 0, everything: 0 };
    let sweep = await start("rough");
    for (let count = 0; count < kills; ) {
      // The further the study is ahead of the kills, the less time it gets: all thirty fall while it runs.
      const ahead = noteFinished() - count / kills;
      await sleep(random() * (ahead > 0 ? 600 : 1_200) * (ahead > 0.2 ? 0.4 : 1));
      if (!running(sweep)) sweep = await start("rough");
      const victim = pickVictim(sweep.pid);
      if (victim === undefined) continue;
      count++;
      struck[victim.kind]++;
      for (const pid of victim.pids) slay(pid);
      if (victim.pids.includes(sweep.pid)) {
        if (running(sweep)) await once(sweep, "exit");
        sweep = await start("rough");
      }
    }
    if (running(sweep)) await once(sweep, "exit");
    if (sweep.exitCode !== 0) {
      sweep = await start("rough");
      assert.deepEqual(await once(sweep, "exit"), [0, null]);
    }
    noteFinished();
    assert.ok(struck.worker > 0 && struck.sweep > 0, JSON.stringify(struck));

    for (const path of [studyLayout.ranking, studyLayout.rankingTable]) {
      assert.equal(readFileSync(path(study("rough")), "utf8"), readFileSync(path(study("calm")), "utf8"));
    }
    for (const id of distinctTrials(readStudy(study("calm")))) {
      const trials = [study("calm"), study("rough")].map((root) => studyLayout.trial(root, id)) as [
        string,
        string,
      ];
      for (const path of [trialLayout.metrics, trialLayout.result]) {
        assert.equal(readFileSync(path(trials[1]), "utf8"), readFileSync(path(trials[0]), "utf8"), id);
      }
      assert.equal(filesOf(trials[1]), finished.get(id), `${id} was run again`);
    }

    /** Notes which trials have finished, with their files; returns their share. */
    function noteFinished(): number {
      const ids = distinctTrials(readStudy(study("calm")));
      for (const id of ids) {
        const trial = studyLayout.trial(study("rough"), id);
        if (!finished.has(id) && readOutcome(trial) !== undefined) finished.set(id, filesOf(trial));
      }
      return finished.size / ids.length;
    }

    /** Identity of the files that running a trial makes anew: each is written beside its place and renamed. */
    function filesOf(trial: string): string {
      const files = [trialLayout.metrics(trial), trialLayout.result(trial)].map((path) => statSync(path));
      return files.map(({ ino, mtimeMs }) => `${ino} at ${mtimeMs}`).join(", ");
    }

    /** A worker, the sweep itself, or all of them at once as in a power failure. */
    function pickVictim(sweepPid: number) {
      const workers = childrenOf(sweepPid);
      const draw = random();
      if (draw < 0.5) {
        const worker = workers[Math.floor(random() * workers.length)];
        return worker === undefined ? undefined : { kind: "worker" as const, pids: [worker] };
      }
      if (draw < 0.8) return { kind: "sweep" as const, pids: [sweepPid] };
      return { kind: "everything" as const, pids: [sweepPid, ...workers] };
    }
  });
});
