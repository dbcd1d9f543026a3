// layermix pattern, run as a process.

import assert from "node:assert/strict";
import { layermix } from "./layermix.js";

const released = "M-M-M--M-M*-M-M-M-M--M*-M-M-M-M-M*--M-M-M-M-M*-M--M-M-M-";

describe("layermix pattern", () => {
  it("prints the pattern and nothing else on stdout", async () => {
    const { code, stdout, stderr } = await layermix([
      "pattern",
      "--layers",
      "56",
      "--mix",
      "mamba2=43%,attention=7%,mlp=50%",
    ]);
    assert.deepEqual([code, stdout], [0, `${released}\n`]);
    assert.equal(stderr, "whole layers: mamba2 43% is 24 of 56 = 42.86%, attention 7% is 4 of 56 = 7.14%\n");
  });

  it("prints pattern and counts with --json", async () => {
    const { code, stdout, stderr } = await layermix([
      "pattern",
      "--layers=56",
      "--mix=attention=0.07,mlp=50%",
      "--json",
    ]);
    const { ok, command, data } = JSON.parse(stdout);
    assert.deepEqual([code, ok, command, stderr], [0, true, "pattern", ""]);
    assert.equal(data.pattern, released);
    assert.deepEqual(data.counts, { mamba2: 24, attention: 4, mlp: 28 });
  });

  it("places as told", async () => {
    const args = ["--layers", "6", "--mix", "attention=33.3%", "--placement", "at:1,4"];
    const { code, stdout } = await layermix(["pattern", ...args]);
    assert.deepEqual([code, stdout], [0, "M*MM*M\n"]);
  });

  const wrong: readonly (readonly [string[], number, string])[] = [
    [["--layers", "0", "--mix", "mlp=100%"], 2, "LMX6005"],
    [["--layers", "8"], 2, "LMX6003"],
    [["--layers", "8", "--mix", "mlp=60%,mamba2=60%"], 2, "LMX6005"],
    [["--layers", "8", "--mix", "attention=25%", "--placement", "every:2"], 4, "LMX2010"],
  ];
  for (const [args, exit, errorCode] of wrong) {
    it(`${args.join(" ")} exits with ${exit}, with and without --json`, async () => {
      const [plain, json] = await Promise.all([
        layermix(["pattern", ...args]),
        layermix(["pattern", ...args, "--json"]),
      ]);
      assert.deepEqual([plain.code, json.code, plain.stdout], [exit, exit, ""]);
      assert.match(plain.stderr, new RegExp(errorCode));
      const envelope = JSON.parse(json.stdout);
      assert.deepEqual([envelope.ok, envelope.error.code], [false, errorCode]);
    });
  }
});
