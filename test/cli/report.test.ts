// layermix report, run as a process.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { recordStudy } from "../study/recorded_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { layermix } from "./layermix.js";

describe("layermix report", () => {
  const folder = useTemporaryFolder();

  it("writes one file beside the study, and says where", async () => {
    await recordStudy(folder());
    const { code, stdout } = await layermix(["report", folder(), "--json"]);
    const { data } = JSON.parse(stdout);
    assert.equal(code, 0);
    assert.equal(data.file, join(folder(), "report.html"));
    const text = readFileSync(data.file, "utf8");
    assert.equal(data.bytes, Buffer.byteLength(text));
    assert.ok(text.startsWith("<!doctype html>") && text.endsWith("</html>\n"));
    // The study file as it ran is in it.
    assert.match(text, /mix\.attention: \[0%, 25%, 50%\]/);
  });

  it("ranks by what is asked for, and refuses what the study does not have", async () => {
    await recordStudy(folder());
    const out = join(folder(), "by recall.html");
    const { stdout } = await layermix(["report", folder(), "--by", "recall", "-o", out]);
    assert.match(stdout, /by recall\.html: tiny, 18 of 18 trials done, [\d.]+ KiB\n$/);
    assert.match(readFileSync(out, "utf8"), /recall = accuracy, higher is better/);
    assert.equal((await layermix(["report", folder(), "--by", "speed"])).code, 2);
  });

  it("prints the page for -, and says with exit code 6 that a full disk took no output", async () => {
    await recordStudy(folder());
    const { code, stdout } = await layermix(["report", folder(), "-o", "-"]);
    assert.equal(code, 0);
    assert.match(stdout, /^<!doctype html>[\s\S]*<\/html>\n+$/);
    assert.ok(!existsSync("-"));
    if (!existsSync("/dev/full")) return;
    const command = join(import.meta.dirname, "../../bin/run.js");
    const full = spawnSync(
      "sh",
      ["-c", `"${process.execPath}" "${command}" report "${folder()}" -o - > /dev/full`],
      {
        encoding: "utf8",
      },
    );
    assert.equal(full.status, 6);
    assert.match(full.stderr, /^error\[LMX4001\]: Expected to write the output, got: the disk is full$/m);
  });

  it("refuses a folder without a study, and one it cannot write to, with exit code 6", async () => {
    const missing = await layermix(["report", join(folder(), "nothing")]);
    assert.equal(missing.code, 6);
    assert.match(missing.stderr, /LMX4004/);
    await recordStudy(folder());
    const page = (file: string) => layermix(["report", folder(), "-o", join(folder(), file)]);
    assert.equal((await page("new/folder/page.html")).code, 0);
    for (const [file, reason] of [
      ["study.json/page.html", "there is something of that name"],
      ["trials", "it is a folder"],
    ] as const) {
      const { code, stderr } = await page(file);
      assert.equal(code, 6);
      assert.match(stderr, new RegExp(`^error\\[LMX4002\\]: Expected to write .*, got: ${reason}$`, "m"));
    }
  });
});
