// layermix watch, run as a process and asked over HTTP, as a browser, a curious neighbour and a rebound name would.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { request } from "node:http";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { publishResult, readOutcome, type TrialResult } from "../../src/study/outcome.js";
import { studyLayout } from "../../src/study/study_layout.js";
import { Chromium, findChromium } from "../report/chromium.js";
import { recordStudy } from "../study/recorded_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { layermix } from "./layermix.js";

const executable = fileURLToPath(new URL("../../bin/run.js", import.meta.url));

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

function ask(url: string, options: { method?: string; host?: string } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = options.host === undefined ? {} : { Host: options.host };
    const sent = request(url, { method: options.method ?? "GET", headers }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

describe("layermix watch", () => {
  const folder = useTemporaryFolder();
  let child: ChildProcess;

  async function watch(...flags: string[]): Promise<string> {
    child = spawn(process.execPath, [executable, "watch", folder(), ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stderr = "";
    for await (const chunk of child.stderr!) {
      stderr += chunk;
      const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(stderr)?.[0];
      if (url !== undefined) return url;
    }
    throw new Error(stderr);
  }

  afterEach(() => {
    child?.kill("SIGKILL");
  });

  it("serves the page under its policy, says when it changed, and ends cleanly on Ctrl-C", async () => {
    const document = await recordStudy(folder());
    const url = await watch();
    const page = await ask(url);
    assert.equal(page.status, 200);
    assert.match(page.body, /18 of 18 done/);
    const policy = String(page.headers["content-security-policy"]);
    assert.match(policy, /^default-src 'none'; .*connect-src 'self'.*frame-ancestors 'none'$/);
    assert.deepEqual(
      [page.headers["cache-control"], page.headers["access-control-allow-origin"]],
      ["no-store", undefined],
    );
    const before = await ask(`${url}version`);
    rmSync(join(studyLayout.trial(folder(), document.trials[0]!.id), "result.json"));
    let after = before;
    while (after.body === before.body) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      after = await ask(`${url}version`);
    }
    assert.match((await ask(url)).body, /17 of 18 trials have ended/);
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });

  it("answers to this machine's names alone, and only reads", async () => {
    await recordStudy(folder());
    const url = await watch();
    const { port } = new URL(url);
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "192.168.1.1"]) {
      assert.equal((await ask(url, { host })).status, 403, host);
    }
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
      assert.equal((await ask(url, { host })).status, 200, host);
    }
    assert.equal((await ask(url, { method: "POST" })).status, 405);
    assert.equal((await ask(`${url}../../etc/passwd`)).status, 404);
    const outside = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find(({ internal, family }) => !internal && family === "IPv4");
    if (outside !== undefined)
      await assert.rejects(ask(`http://${outside.address}:${port}/`), /ECONNREFUSED/);
  });

  it("refuses a folder without a study and a measure it does not have before it listens", async () => {
    assert.equal((await layermix(["watch", folder()])).code, 6);
    await recordStudy(folder());
    assert.equal((await layermix(["watch", folder(), "--by", "speed"])).code, 2);
  });

  it("renews the page in a browser without a complaint", async function () {
    const chromium = findChromium();
    if (chromium === undefined) this.skip();
    const document = await recordStudy(folder(), {
      accuracy: (p) => (p.candidate === 2 ? undefined : 0.5 + 0.1 * p.candidate),
    });
    const url = await watch();
    const browser = new Chromium(chromium);
    try {
      const tab = await browser.open();
      await tab.goTo(url);
      const progress = "document.querySelector('.progress')?.textContent ?? ''";
      assert.match(await tab.evaluate<string>(progress), /12 of 18 trials have ended/);
      const model = document.trials.find(
        ({ candidate, task, seed }) => candidate === 0 && task === 0 && seed === 0,
      )!;
      const missing = document.trials.find(({ candidate }) => candidate === 2)!;
      const result = readOutcome(studyLayout.trial(folder(), model.id)) as TrialResult;
      publishResult(studyLayout.trial(folder(), missing.id), { ...result, id: missing.id });
      while (!/13 of 18/.test(await tab.evaluate<string>(progress))) {
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      assert.deepEqual(tab.complaints, []);
      assert.ok(tab.requests.every((address) => address.startsWith(url)));
    } finally {
      await browser.close();
    }
  });
});
