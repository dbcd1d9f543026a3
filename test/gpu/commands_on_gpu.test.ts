// The commands on a machine with a GPU (elsewhere skipped): Hugging Face's models through verify, a sweep that is killed and
// resumed to the same bits, alone or with several trials at once, and devices that are not there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { probeCuda } from "../../src/run/probe_cuda.js";
import { distinctTrials, readStudy } from "../../src/study/study_document.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { layermix } from "../cli/layermix.js";
import { childrenOf, slay } from "../reliability/processes.js";
import { tinyStudyText } from "../run/tiny_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";

const { cuda, reason } = probeCuda();
const golden = join(import.meta.dirname, "../fixtures/golden");
const command = join(import.meta.dirname, "../../bin/run.js");

describe("commands on a GPU", function () {
  this.timeout(180_000);
  const folder = useTemporaryFolder();
  before(function () {
    if (cuda.length > 0) return;
    console.log(`      skipped: ${reason}`);
    this.skip();
  });

  for (const name of ["nemotronh_g1", "nemotronh_dense_M-M*-M-", "mamba2_g1"]) {
    it(`verify ${name}: no further off than twice a plain bf16 run`, async () => {
      const { code, stdout, stderr } = await layermix(["verify", join(golden, name), "--device", "cuda:0"]);
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /\nequal within tolerance\n$/);
    });
  }

  /** Metrics and results of every trial, by id. */
  function outcomes(name: string): Record<string, readonly string[]> {
    const study = join(folder(), name);
    return Object.fromEntries(
      distinctTrials(readStudy(study)).map((id) => {
        const trial = studyLayout.trial(study, id);
        const read = (path: string) => readFileSync(path, "utf8");
        return [id, [read(trialLayout.metrics(trial)), read(trialLayout.result(trial))]];
      }),
    );
  }

  /** Waits until so many trials have recorded something: the last of them is under way. */
  async function untilTrained(study: string, count: number): Promise<void> {
    const trials = join(study, "trials");
    const begun = (id: string) => existsSync(trialLayout.metrics(join(trials, id)));
    while (!existsSync(trials) || readdirSync(trials).filter(begun).length < count) await sleep(20);
  }

  it("sweep: the same bits after kill -9, and with four trials at once", async () => {
    writeFileSync(join(folder(), "study.yaml"), tinyStudyText({ tokens: "250K", seeds: 1 }));
    const sweep = (name: string, ...more: string[]) => [
      ...["sweep", "study.yaml", "--out", name, "--device", "cuda:0", "--checkpoint-every", "0.1", ...more],
    ];
    const calm = await layermix([...sweep("calm", "--workers", "1"), "--json"], { cwd: folder() });
    assert.equal(calm.code, 0, calm.stderr);
    const { gpu } = JSON.parse(calm.stdout).data;
    assert.ok(
      gpu.stepSeconds > 0 && gpu.stepsInFlight > 0 && gpu.stepsInFlight <= gpu.trialsAtOnce,
      JSON.stringify(gpu),
    );

    const child = spawn(process.execPath, [command, ...sweep("rough", "--workers", "1")], {
      cwd: folder(),
      stdio: "ignore",
    });
    await untilTrained(join(folder(), "rough"), 2);
    const killed = [...childrenOf(child.pid!), child.pid!].filter(slay);
    assert.ok(killed.length > 0, "the sweep was over before it could be killed");
    await once(child, "exit");
    const resumed = await layermix(sweep("rough", "--workers", "1"), { cwd: folder() });
    assert.equal(resumed.code, 0, resumed.stderr);
    const packed = await layermix(sweep("packed", "--workers", "4"), { cwd: folder() });
    assert.equal(packed.code, 0, packed.stderr);
    assert.deepEqual(outcomes("rough"), outcomes("calm"));
    assert.deepEqual(outcomes("packed"), outcomes("calm"));
  });

  it("names a device that is not there, and exits with 7", async () => {
    const { code, stderr } = await layermix([
      "sweep",
      "preset:quickstart",
      "--device",
      "cuda:99",
      "--dry-run",
    ]);
    assert.equal(code, 7);
    assert.match(stderr, /^error\[LMX4017\]: Expected a device this machine can train on, got cuda:99/);
  });
});
