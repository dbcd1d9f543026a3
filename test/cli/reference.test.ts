// The commands that explain: explain, schema print, preset list and show, doctor.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { allCodes } from "../../src/diag/catalog.js";
import { listPresets } from "../../src/spec/presets.js";
import { layermix } from "./layermix.js";

const json = async (...args: string[]) => {
  const { code, stdout } = await layermix([...args, "--json"]);
  assert.equal(code, 0, stdout);
  return JSON.parse(stdout).data;
};

describe("layermix explain", () => {
  it("explains a code, however it is written", async () => {
    const { stdout, code } = await layermix(["explain", "1203"]);
    assert.equal(code, 0);
    assert.match(stdout, /^LMX1203: Shares do not total 100%\n\n/);
    assert.deepEqual(await json("explain", "lmx1203"), await json("explain", "LMX1203"));
  });

  it("lists all codes without one", async () => {
    const { codes } = await json("explain");
    assert.deepEqual(
      codes,
      allCodes().map(([code, { title }]) => ({ code, title })),
    );
  });
});

describe("layermix schema print", () => {
  it("prints the schema file as it is", async () => {
    const file = readFileSync(new URL("../../schemas/study.schema.json", import.meta.url), "utf8");
    assert.equal((await layermix(["schema", "print"])).stdout, file);
    assert.deepEqual(await json("schema", "print"), JSON.parse(file));
  });
});

describe("layermix preset", () => {
  it("lists every preset with its kind and what it is", async () => {
    const { presets } = await json("preset", "list");
    assert.deepEqual(
      presets.map(({ name, kind }: { name: string; kind: string }) => [name, kind]),
      listPresets().map(({ name, kind }) => [name, kind]),
    );
  });

  it("shows the file of one", async () => {
    const [preset] = listPresets();
    const text = readFileSync(preset!.file, "utf8");
    assert.equal((await layermix(["preset", "show", preset!.name])).stdout, text);
    assert.equal((await json("preset", "show", `preset:${preset!.name}`)).text, text);
  });
});

describe("layermix doctor", () => {
  it("says ok, or how to make it so, for every part of the machine", async () => {
    const { ok, checks } = await json("doctor");
    const names = checks.map(({ name }: { name: string }) => name);
    assert.deepEqual(names, [
      "node",
      "processor",
      "memory",
      "disk",
      "native library",
      "GPU",
      "validators",
      "output",
    ]);
    for (const { status, found, fix } of checks) {
      assert.ok(found.length > 0);
      assert.equal(status === "warn", fix !== undefined);
    }
    assert.equal(
      ok,
      checks.every(({ status }: { status: string }) => status === "ok"),
    );
    assert.equal(checks[0].found.startsWith(process.version), true);
  });
});
