// `layermix import hf` and the presets of published models, as a user runs them.

import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { layermix } from "./layermix.js";
import { inTemporaryFolder } from "./temporary_folder.js";

const golden = fileURLToPath(new URL("../fixtures/golden/nemotronh_g1/", import.meta.url));

async function json(...args: readonly string[]) {
  const { stdout, code } = await layermix([...args, "--json"]);
  return { ...JSON.parse(stdout), code };
}

describe("layermix import hf", () => {
  it("writes a study that plans to the same model, and keeps an existing file", () =>
    inTemporaryFolder(async (folder) => {
      const file = join(folder, "study.yaml");
      const { data, code } = await json("import", "hf", golden, "-o", file);
      assert.equal(code, 0);
      assert.deepEqual([data.name, data.type, data.pattern], ["nemotronh_g1", "nemotron_h", "M-*-M-"]);
      assert.deepEqual(data.params, { total: 31_408, active: 31_408 });
      assert.equal(readFileSync(file, "utf8"), data.text);
      assert.match(data.text, /^# yaml-language-server: /);
      const planned = await json("plan", file);
      assert.equal(planned.data.models[0].params.total, 31_408);
      const again = await json("import", "hf", golden, "-o", file);
      assert.deepEqual([again.code, again.error.code], [2, "LMX6010"]);
    }));

  it("prints the study for a pipe, and takes the file itself", async () => {
    const { stdout, code } = await layermix(["import", "hf", join(golden, "config.json"), "--name", "tiny"]);
    assert.equal(code, 0);
    const planned = await layermix(["plan", "-", "--json"], { input: stdout });
    assert.equal(JSON.parse(planned.stdout).data.models[0].name, "tiny");
  });

  it("says what is wrong with a configuration, with exit code 3", () =>
    inTemporaryFolder(async (folder) => {
      const none = await json("import", "hf", folder);
      assert.deepEqual([none.code, none.error.code], [3, "LMX5005"]);
      mkdirSync(join(folder, "weights"));
      copyFileSync(join(golden, "model.safetensors"), join(folder, "weights", "config.json"));
      const wrong = await json("import", "hf", join(folder, "weights"));
      assert.deepEqual([wrong.code, wrong.error.code], [3, "LMX5101"]);
      assert.equal(existsSync(join(folder, "study.yaml")), false);
    }));
});

describe("layermix preset list", () => {
  it("has the sizes of every model: KV cache at 256K in 16 bits as published", async () => {
    const { data } = await json("preset", "list");
    const presets = new Map(data.presets.map((preset: { name: string }) => [preset.name, preset]));
    const gib = 2 ** 30;
    // arXiv 2403.19887, table 1 (Jamba), and its successor arXiv 2408.12570, table 1.
    const published = { "mistral-7b": 32, "mixtral-8x7b": 32, "jamba-1.5-mini": 4, "jamba-1.5-large": 9 };
    for (const [name, size] of Object.entries(published)) {
      const { kvBytesPerToken } = presets.get(name) as { kvBytesPerToken: number };
      assert.equal((kvBytesPerToken * 256 * 1024) / gib, size, name);
    }
    const nano = presets.get("nemotron-nano-9b-v2") as Record<string, number>;
    assert.equal(nano.kvBytesPerToken, 16 * 1024);
    assert.equal(((nano.stateBytesPerSequence ?? 0) / 2 ** 20).toFixed(1), "69.4");
  });

  it("prints a table that fits, models before studies", async () => {
    const { stdout, code } = await layermix(["preset", "list"]);
    assert.equal(code, 0);
    const lines = stdout.trimEnd().split("\n");
    assert.match(
      lines[0]!,
      /^model +layers by symbol +layers +hidden +parameters +active +KV\/token +state$/,
    );
    assert.match(
      stdout,
      /^qwen3-next-80b +36 G, 12 \*, 48 E +96 +2048 +79\.7 B +3\.87 B +24\.0 KiB +37\.7 MiB$/m,
    );
    assert.ok(stdout.indexOf("\nstudy") > stdout.indexOf("\nzamba2-2.7b"));
    for (const line of lines.slice(0, lines.indexOf("study"))) assert.ok(line.length <= 110, line);
  });
});

describe("a model that is planned only", () => {
  it("is refused by what would train it, and says so in its plan", async () => {
    const { stdout } = await layermix(["plan", "preset:kimi-linear-48b"]);
    assert.match(
      stdout,
      /note: planned only, the native library does not run them: kda layers, moe layers, mla layers$/m,
    );
    const tasks = ["--set", "proxy.tokens=1M", "--set", "proxy.tasks=[{task: recall, pairs: 4}]"];
    await inTemporaryFolder(async (folder) => {
      const { code, error } = await json(
        "train",
        "preset:kimi-linear-48b",
        ...tasks,
        "--out",
        join(folder, "run"),
      );
      assert.deepEqual([code, error.code], [4, "LMX2017"]);
      assert.match(error.message, /got kda layers, moe layers, mla layers in/);
    });
  });
});
