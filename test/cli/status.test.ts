// layermix status, run as a process: the states of trials, read from the folder alone.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tryClaim } from "../../src/study/claim.js";
import { publishFailure, publishResult } from "../../src/study/outcome.js";
import { identifyProcess } from "../../src/study/process_identity.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { createTiny } from "../run/tiny_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { layermix } from "./layermix.js";

describe("layermix status", () => {
  const folder = useTemporaryFolder();
  const here = identifyProcess();

  /** One trial in every state; the rest waits. Returns their ids: done, diverged, failed, running, interrupted. */
  async function oneOfEach(): Promise<string[]> {
    const ids = (await createTiny(folder(), { tokens: "10K" })).trials.map(({ id }) => id);
    const [done, diverged, failed, running, interrupted] = ids.map((id) => studyLayout.trial(folder(), id));
    const common = { format: 1, tokens: 256, evaluations: [] } as const;
    publishResult(done!, { ...common, id: ids[0]!, status: "done", steps: 40, metrics: { loss: 1 } });
    publishResult(diverged!, { ...common, id: ids[1]!, status: "diverged", steps: 1 });
    publishFailure(failed!, { format: 1, id: ids[2]!, code: "LMX4009", message: "it broke", stderr: [] });
    tryClaim(trialLayout.claims(running!), here);
    writeFileSync(
      trialLayout.metrics(running!),
      '{"step":10,"tokens":2560,"loss":1.5,"gradNorm":1,"learningRate":1}\n{"step":1',
    );
    tryClaim(trialLayout.claims(interrupted!), { ...here, boot: "earlier" });
    return ids;
  }

  it("counts every state and shows who runs what", async () => {
    const ids = await oneOfEach();
    const { code, stdout } = await layermix(["status", folder(), "--json"]);
    assert.equal(code, 0);
    const { data } = JSON.parse(stdout);
    assert.deepEqual(data.trials, {
      done: 1,
      diverged: 1,
      failed: 1,
      running: 1,
      interrupted: 1,
      killed: 0,
      oom: 0,
      paused: 0,
      pruned: 0,
      waiting: 7,
      total: 12,
    });
    assert.deepEqual(data.tokens, { done: 3 * 10_240 + 2_560, total: 12 * 10_240 });
    assert.equal(data.running.length, 1);
    const [running] = data.running;
    assert.deepEqual(
      [running.id, running.candidate, running.task, running.seed, running.step, running.steps, running.loss],
      [ids[3], "attention=25%", "copy", 0, 10, 40, 1.5],
    );
    assert.deepEqual(running.owner, { host: here.host, pid: here.pid });
    assert.ok(running.heartbeatSeconds >= 0 && running.heartbeatSeconds < 60);
    assert.deepEqual(
      data.failed.map(({ id, code: reason, message }: Record<string, string>) => [id, reason, message]),
      [[ids[2], "LMX4009", "it broke"]],
    );
  });

  it("says the same to people", async () => {
    await oneOfEach();
    const { code, stdout, stderr } = await layermix(["status", folder()]);
    assert.equal(code, 0);
    assert.deepEqual(stdout.split("\n").slice(0, 3), [
      "tiny: 3 of 12 trials have ended",
      "  1 done, 1 diverged, 1 failed, 1 running, 1 interrupted, 7 waiting",
      "  33.3 K of 123 K tokens (27%)",
    ]);
    assert.match(
      stdout,
      new RegExp(`attention=25% {2}copy {2}seed 0 {2}step 10/40 {2}loss 1\\.5000 {2}process ${here.pid} on `),
    );
    assert.match(stdout, /^failed:\n {2}attention=25% {2}recall {2}seed 0: LMX4009 it broke$/m);
    assert.equal(stderr, "", "somebody is at work: nothing to suggest");
  });

  it("suggests the sweep for what is left, and the ranking when nothing is", async () => {
    const study = await createTiny(folder());
    const waiting = await layermix(["status", folder()]);
    assert.equal(
      waiting.stderr,
      `Next: layermix sweep ${folder()}/study.yaml --device cpu --out ${folder()}\n`,
    );
    for (const { id } of study.trials) {
      publishFailure(studyLayout.trial(folder(), id), {
        format: 1,
        id,
        code: "LMX4009",
        message: "-",
        stderr: [],
      });
    }
    assert.equal((await layermix(["status", folder()])).stderr, `Next: layermix rank ${folder()}\n`);
  });

  it("refuses a folder that is no study, a damaged one, and one of a newer version", async () => {
    const status = async (): Promise<unknown[]> => {
      const { code, stdout } = await layermix(["status", folder(), "--json"]);
      return [code, JSON.parse(stdout).error.code];
    };
    assert.deepEqual(await status(), [6, "LMX4004"]);
    writeFileSync(join(folder(), "study.json"), '{"format": 1, "tri');
    assert.deepEqual(await status(), [6, "LMX4006"]);
    writeFileSync(join(folder(), "study.json"), '{"format": 99}');
    assert.deepEqual(await status(), [6, "LMX4005"]);
  });
});
