// Claims: one owner at a time, whoever races; a dead owner is succeeded at once, a living one never.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { endClaim, HeartbeatWatch, isOver, readClaim, tryClaim } from "../../src/study/claim.js";
import { identifyProcess, liveness } from "../../src/study/process_identity.js";
import { useTemporaryFolder } from "./temporary_folder.js";

const here = identifyProcess();

/** A process that lives until it is killed. */
async function sleeper(): Promise<ChildProcess & { pid: number }> {
  const child = spawn("sleep", ["1000"], { stdio: "ignore" });
  await once(child, "spawn");
  return child as ChildProcess & { pid: number };
}
async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

describe("a claim", () => {
  const folder = useTemporaryFolder();

  it("is refused while its owner lives, and free again once it is released", () => {
    const first = tryClaim(folder(), here);
    assert.equal(first?.generation, 1);
    assert.equal(tryClaim(folder(), here), undefined);
    assert.equal(first.beat(), true);
    first.end("released");
    assert.equal(first.beat(), false);
    assert.equal(tryClaim(folder(), here)?.generation, 2);
    assert.deepEqual(readdirSync(folder()).sort(), ["0001.ended", "0001.json", "0002.json"]);
    assert.equal(readFileSync(join(folder(), "0001.ended"), "utf8"), "released\n");
  });

  it("passes on at once when its owner was killed, and not before", async () => {
    const child = await sleeper();
    const owner = identifyProcess(child.pid);
    assert.equal(tryClaim(folder(), owner)?.generation, 1);
    assert.equal(tryClaim(folder(), here), undefined);
    await kill(child);
    assert.equal(tryClaim(folder(), here)?.generation, 2);
    assert.equal(readFileSync(join(folder(), "0001.ended"), "utf8"), "dead\n");
  });

  it("of a dead owner waits for the word of its supervisor, while that lives", async () => {
    const [owner, supervisor] = [await sleeper(), await sleeper()];
    tryClaim(folder(), identifyProcess(owner.pid), identifyProcess(supervisor.pid));
    await kill(owner);
    assert.equal(tryClaim(folder(), here), undefined);
    await kill(supervisor);
    assert.equal(tryClaim(folder(), here)?.generation, 2);
  });

  it("is not kept alive by another process that got the same id", () => {
    const reused = { ...here, startTicks: here.startTicks! - 1 };
    assert.equal(liveness(reused, here), "dead");
    tryClaim(folder(), reused);
    assert.equal(tryClaim(folder(), here)?.generation, 2);
  });

  it("of another boot of this machine is over; of another machine or container it is not", () => {
    assert.equal(liveness({ ...here, boot: "another" }, here), "dead");
    assert.equal(liveness({ ...here, host: "another" }, here), "unknown");
    assert.equal(liveness({ ...here, namespace: "another" }, here), "unknown");
    tryClaim(folder(), { ...here, host: "another", pid: 2 ** 30 });
    assert.equal(tryClaim(folder(), here), undefined);
  });

  it("tells its owner when it was ended by somebody else, and the late end changes nothing", () => {
    const slow = tryClaim(folder(), here)!;
    endClaim(folder(), slow.generation, "silent");
    assert.equal(slow.beat(), false);
    const successor = tryClaim(folder(), here)!;
    slow.end("finished");
    assert.equal(readFileSync(join(folder(), "0001.ended"), "utf8"), "silent\n");
    assert.equal(successor.beat(), true);
  });

  it("decided on stale knowledge does not steal: the generation exists already", () => {
    tryClaim(folder(), { ...here, boot: "earlier" });
    const stale = readClaim(folder())!;
    assert.equal(isOver(stale, here), true);
    const winner = tryClaim(folder(), here)!; // between the look and the act of somebody else
    endClaim(folder(), stale.generation, "dead");
    assert.equal(tryClaim(folder(), here), undefined);
    assert.equal(winner.beat(), true);
  });

  it("without content yet (a file system without links) belongs to somebody", () => {
    mkdirSync(folder(), { recursive: true });
    writeFileSync(join(folder(), "0001.json"), "");
    assert.equal(tryClaim(folder(), here), undefined);
  });
});

describe("the watch over heartbeats", () => {
  const folder = useTemporaryFolder();

  it("counts only silence it has seen itself, whatever the clocks say", () => {
    tryClaim(folder(), { ...here, host: "another" });
    const path = join(folder(), "0001.json");
    const watch = new HeartbeatWatch();
    const beat = (seconds: number): void => utimesSync(path, seconds, seconds);
    beat(1); // 1970: a clock that is badly off
    assert.equal(watch.silence("t", readClaim(folder())!, 1_000), 0);
    assert.equal(watch.silence("t", readClaim(folder())!, 31_000), 30_000);
    beat(3);
    assert.equal(watch.silence("t", readClaim(folder())!, 40_000), 0);
    assert.equal(watch.silence("t", readClaim(folder())!, 100_000), 60_000);
  });
});

describe("eight processes racing over fifty trials", () => {
  const folder = useTemporaryFolder();

  it("take each exactly once, also when every trial was left behind by a dead owner", async function () {
    this.timeout(120_000);
    const trials = Array.from({ length: 50 }, (_, index) => join(folder(), "trials", String(index)));
    for (const trial of trials.slice(0, 25)) tryClaim(trial, { ...here, boot: "earlier" });
    const go = join(folder(), "go");
    const racer = join(import.meta.dirname, "claim_racer.ts");
    const children = Array.from({ length: 8 }, () =>
      spawn(process.execPath, ["--import", "tsx", racer, go, ...trials], {
        stdio: ["ignore", "pipe", "inherit"],
      }),
    );
    const outputs = children.map(async (child) => {
      let text = "";
      for await (const chunk of child.stdout) {
        text += chunk;
        if (text === "ready\n") readyCount++;
        if (readyCount === children.length) writeFileSync(go, "");
      }
      return text;
    });
    let readyCount = 0;
    const taken = (await Promise.all(outputs)).flatMap((text) => text.trim().split("\n").slice(1));
    assert.deepEqual(taken.sort(), [...trials].sort());
  });
});
