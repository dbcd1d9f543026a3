// docs/json.md against the tool: every command of the table runs here, and its `data` has the documented fields and no other.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { tinyStudyText } from "../run/tiny_study.js";
import { contradictions, type Fields, parseFields } from "./json_fields.js";
import { layermix } from "./layermix.js";

const page = readFileSync(new URL("../../docs/json.md", import.meta.url), "utf8");
const executable = fileURLToPath(new URL("../../bin/run.js", import.meta.url));
const fixture = fileURLToPath(new URL("../fixtures/golden/nemotronh_g1", import.meta.url));

/** The table under "## Data": fields by command. */
function documentedFields(): ReadonlyMap<string, string> {
  const rows = page.matchAll(/^\| `([^`]+)` \| (.*?) ?\| .*\|$/gm);
  const table = new Map<string, string>();
  for (const [, commands = "", fields = ""] of rows) {
    const [topic, names] = commands.includes("\\|")
      ? [/^\S+ /.exec(commands)![0], commands.replace(/^\S+ /, "").split("\\|")]
      : ["", [commands]];
    for (const name of names) table.set(topic + name, fields);
  }
  return table;
}

/** What is run for each command; a function runs it some other way. */
const runs: Readonly<Record<string, readonly (string | (() => Promise<unknown>))[]>> = {
  pattern: ["--layers 56 --mix mamba2=43%,attention=7%,mlp=50%"],
  plan: ["limited.yaml"],
  project: ["limited.yaml --baseline transformer-8b"],
  calibrate: [
    () =>
      stopped(["calibrate", "--device", "cpu", "--quick", "--out", "cpu.yaml"], () =>
        existsSync(at("cpu.yaml")),
      ),
  ],
  "bench decode": ["tiny.yaml --contexts 8 --steps 1 --device cpu"],
  "hardware list": [""],
  "hardware show": ["h200", "l40s", "./cpu.yaml"],
  check: ["tiny.yaml"],
  init: ["new.yaml"],
  explain: ["LMX1101", "LMX1203", ""],
  "sweep --dry-run": ["tiny.yaml"],
  sweep: ["tiny.yaml --device cpu --out study"],
  train: ["tiny.yaml --device cpu --out run"],
  status: ["study"],
  rank: ["study"],
  fidelity: ["study"],
  replay: ["study --repeats 5"],
  report: ["study"],
  watch: [watchUntilItAnswers],
  "export hf": ["run -o hf --record 8"],
  "import hf": ["hf", "hf -o back.yaml"],
  "export megatron": ["preset:nemotron-h-8b"],
  "export csv": ["study -o trials.csv"],
  "export json": ["study -o trials.json"],
  "export parquet": ["study -o trials.parquet"],
  "export optuna": ["study -o optuna.log"],
  "export tensorboard": ["study -o events"],
  verify: [fixture],
  "preset list": [""],
  "preset show": ["quickstart"],
  "task list": [""],
  "task show": ["text", "recall", "phonebook"],
  doctor: [""],
};

/** Fields that only other machines have. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  sweep: ["gpu"],
  doctor: ["fix"],
  calibrate: ["interconnect", "ceilings"],
};

/** Commands of the framework. */
const notOurs = /^(autocomplete|help)/;

const folder = mkdtempSync(join(tmpdir(), "layermix-json-"));
const at = (name: string): string => join(folder, name);

/** Starts a command, stops it as Ctrl-C does once it is `ready`, and gives back its data. */
async function stopped(args: readonly string[], ready: () => boolean | Promise<boolean>): Promise<unknown> {
  const child = spawn(process.execPath, [executable, ...args, "--json"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  const ended = once(child, "close");
  while (child.exitCode === null && !(await ready())) await delay(50);
  child.kill("SIGINT");
  await ended;
  return JSON.parse(stdout).data;
}

async function watchUntilItAnswers(): Promise<unknown> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const answers = async () => {
    const page = await fetch(`http://127.0.0.1:${port}/version`).catch(() => undefined);
    return page?.ok === true;
  };
  return stopped(["watch", "study", "--port", String(port)], answers);
}

async function dataOf(command: string, run: string | (() => Promise<unknown>)): Promise<unknown> {
  if (typeof run !== "string") return run();
  const words = `${command} ${run}`.split(" ").filter((word) => word !== "");
  const { code, stdout } = await layermix([...words, "--json"], { cwd: folder });
  const envelope = JSON.parse(stdout);
  assert.equal(envelope.command, command.replace(/ --.*/, ""));
  assert.deepEqual([code, envelope.ok], [0, true], stdout.slice(0, 2000));
  return envelope.data;
}

/** The documented example of one element, keys alone; maps by name have other keys and are left out. */
function exampleOf(key: string): Fields {
  const block = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text]) => text!);
  return shape(JSON.parse(block.find((text) => text.includes(`"${key}"`))!))!;

  function shape(value: unknown): Fields | undefined {
    if (Array.isArray(value)) return value.length === 0 ? undefined : shape(value[0]);
    if (typeof value !== "object" || value === null) return undefined;
    return new Map(
      Object.entries(value).map(([name, inside]) => {
        const known = ["values", "counts", "byKind"].includes(name) ? undefined : shape(inside);
        return [name, { optional: false, ...(known === undefined ? {} : { inside: known }) }];
      }),
    );
  }
}

describe("docs/json.md", function () {
  this.timeout(120_000);
  const documented = documentedFields();

  before(() => {
    writeFileSync(at("tiny.yaml"), tinyStudyText());
    const limited = "fill: mamba2\n  where: [{ metric: kv_bytes_per_token, max: 100 }]";
    writeFileSync(at("limited.yaml"), tinyStudyText().replace("fill: mamba2", limited));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("has a row for every command", () => {
    const { commands } = JSON.parse(
      readFileSync(new URL("../../oclif.manifest.json", import.meta.url), "utf8"),
    );
    const names = Object.keys(commands).map((id) => id.replaceAll(":", " "));
    const rows = new Set([...documented.keys()].map((name) => name.replace(/ --.*/, "")));
    assert.deepEqual([...rows].sort(), names.filter((name) => !notOurs.test(name)).sort());
  });

  for (const [command, variants] of Object.entries(runs)) {
    it(`has the fields of ${command}`, async () => {
      const cell = documented.get(command);
      assert.ok(cell !== undefined, "no row");
      const fields = parseFields(
        command === "sweep" ? `${cell.replace("all fields of `rank`", documented.get("rank")!)}` : cell,
      );
      const outputs = [];
      for (const run of variants) outputs.push(await dataOf(command, run));
      const unseen = (elsewhere[command] ?? []).map((name) => new RegExp(`\\.${name} is in no output$`));
      const problems = contradictions(fields, outputs).filter(
        (problem) => !unseen.some((name) => name.test(problem)),
      );
      assert.deepEqual(problems, []);
    });
  }

  it("has the fields of ranking[] in docs/ranking.md", async () => {
    const ranking = readFileSync(new URL("../../docs/ranking.md", import.meta.url), "utf8");
    const rows = [
      ...ranking.slice(ranking.indexOf("| field of `data.ranking[]`")).matchAll(/^\| (`.*?) \|/gm),
    ];
    const names = rows.flatMap(([, cell]) => [...cell!.matchAll(/`(\w+)/g)].map(([, name]) => name!));
    const data = (await dataOf("rank", "study")) as { ranking: Record<string, unknown>[] };
    const shown = new Set(data.ranking.flatMap((candidate) => Object.keys(candidate)));
    // Only a search that left candidates behind shows where; only one over learning rates shows those it chose.
    assert.deepEqual([...shown, "prunedAt", "learningRates"].sort(), [...names].sort());
  });

  it("shows a model of plan and one of project as they are", async () => {
    const plan = (await dataOf("plan", "tiny.yaml")) as { models: unknown[] };
    assert.deepEqual(contradictions(exampleOf("trainPerToken"), plan.models.slice(1)), []);
    const project = (await dataOf("project", "tiny.yaml --baseline transformer-8b")) as { models: unknown[] };
    assert.deepEqual(contradictions(exampleOf("crossoverContext"), project.models), []);
  });
});
