// The measurements of bench/gpu/ as far as a machine without a GPU goes: what needs one says so, a sweep is killed and resumed, the
// summary has a line for each job, and a mistake in the command line is named.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { useTemporaryFolder } from "./study/temporary_folder.js";

const script = join(import.meta.dirname, "../bench/gpu/run.sh");

describe("bench/gpu/run.sh", function () {
  this.timeout(300_000);
  const folder = useTemporaryFolder();
  const run = (...options: string[]) =>
    spawnSync("bash", [script, "--out", join(folder(), "out"), ...options], { encoding: "utf8" });

  it("runs job after job, whatever becomes of each", () => {
    const { status, stdout, stderr } = run("--device", "cpu", "--small", "kernels", "kill");
    assert.equal(status, 0, stdout + stderr);
    const summary = readFileSync(join(folder(), "out/summary.txt"), "utf8");
    assert.match(summary, /^kernels \d+ 77 \(needs a GPU\)\nkill \d+ 0\n$/);
    const kill = readFileSync(join(folder(), "out/kill/kill.txt"), "utf8");
    assert.match(kill, /^killed with \d+ of 6 trials done and resumed: the same digests\n$/);
    const figures = spawnSync("tar", ["-tJf", join(folder(), "out/figures.tar.xz")], {
      encoding: "utf8",
    }).stdout;
    assert.match(figures, /^\.\/kill\/rough\/trials\/\w+\/result\.json$/m);
    assert.doesNotMatch(figures, /safetensors/);
  });

  it("stops a job at its limit, and says so", () => {
    const { status, stdout } = run("--device", "cpu", "--small", "--limit", "1", "sweep");
    assert.equal(status, 1, stdout);
    assert.match(stdout, /^sweep \d+ 124 \(stopped after 1 s\)$/m);
  });

  it("names what it does not know", () => {
    for (const [options, message] of [
      [["nonsense"], /Expected a job of build tests .* sanitize, got nonsense/],
      [["--limit", "soon", "tests"], /Expected --limit to be whole seconds, got soon/],
      [["--device", "gpu", "tests"], /Expected --device cpu or cuda:N, got gpu/],
      [[], /JOB\.\.\.\|all/],
    ] as const) {
      const { status, stderr } = run(...options);
      assert.equal(status, 2);
      assert.match(stderr, message);
    }
  });
});
