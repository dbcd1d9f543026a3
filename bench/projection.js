// What `layermix project` projects against what the native decoder takes, on one device. The models and workloads here are
// test shapes: none of their operations is among the shapes of the calibration, which is checked before anything is
// timed. Prints a table, and Markdown for RESULTS.md with --markdown.
//
//   node bench/projection.js --hardware my-gpu.yaml --device cuda:0 [--markdown]

import { parseArgs } from "node:util";
import { nativeGaps, toNativeModel } from "../dist/plan/native_model.js";
import { plan } from "../dist/plan/plan.js";
import { loadHardware } from "../dist/project/load_hardware.js";
import { deviceModel, passOperations } from "../dist/project/model_operations.js";
import { project } from "../dist/project/project.js";
import { addonFor, loadNative } from "../dist/run/load_native.js";
import { parseStudy } from "../dist/spec/parse_study.js";

const { values } = parseArgs({
  options: {
    hardware: { type: "string" },
    device: { type: "string", default: "cuda:0" },
    threads: { type: "string", default: "0" },
    markdown: { type: "boolean", default: false },
  },
});
const gpu = values.device !== "cpu";

// Widths that are not calibrated; blocks as wide as in published models of that size.
const gpuModels = {
  "mamba2 2.0B": `pattern: ${"M".repeat(40)}
hidden: 2560
vocab: 50280
blocks: { mamba2: { state: 128, head_dim: 64, groups: 2 } }`,
  "attention 2.5B": `pattern: "${"*-".repeat(24)}"
hidden: 3072
vocab: 100352
blocks: { attention: { heads: 24, kv_heads: 6, head_dim: 128 }, mlp: { width: 10240, activation: gelu } }`,
  "hybrid 1.2B": `pattern: "${"M-M-M-M*-M-".repeat(4)}"
hidden: 2048
vocab: 50280
blocks: { mamba2: { state: 128, head_dim: 64, groups: 2 }, attention: { heads: 16, kv_heads: 4, head_dim: 128 }, mlp: { width: 7168, activation: relu2 } }`,
  "hybrid 3.5B": `pattern: "${"M-M*-M-M-".repeat(5)}"
hidden: 3072
vocab: 100352
blocks: { mamba2: { state: 64, head_dim: 64, groups: 8 }, attention: { heads: 24, kv_heads: 6, head_dim: 128 }, mlp: { width: 10240, activation: gelu } }`,
  "hybrid 0.4B": `pattern: "${"MM-M*-MM-".repeat(4)}"
hidden: 1280
vocab: 50280
blocks: { mamba2: { state: 128, head_dim: 64, groups: 1 }, attention: { heads: 20, kv_heads: 4, head_dim: 64 }, mlp: { width: 3584, gated: true, activation: silu } }`,
};
const gpuWork = [
  ["mamba2 2.0B", 1, 1024],
  ["mamba2 2.0B", 32, 4096],
  ["mamba2 2.0B", 128, 16_384],
  ["attention 2.5B", 1, 1024],
  ["attention 2.5B", 8, 32_768],
  ["attention 2.5B", 48, 4096],
  ["hybrid 1.2B", 1, 131_072],
  ["hybrid 1.2B", 32, 16_384],
  ["hybrid 1.2B", 128, 1024],
  ["hybrid 3.5B", 1, 4096],
  ["hybrid 3.5B", 24, 32_768],
  ["hybrid 3.5B", 100, 8192],
  ["hybrid 0.4B", 1, 4096],
  ["hybrid 0.4B", 64, 4096],
];
const cpuModels = {
  mamba2: `pattern: ${"M".repeat(8)}
hidden: 384
vocab: 8000
blocks: { mamba2: { state: 64, head_dim: 64, groups: 1 } }`,
  attention: `pattern: "${"*-".repeat(6)}"
hidden: 384
vocab: 8000
blocks: { attention: { heads: 6, kv_heads: 3, head_dim: 64 }, mlp: { width: 1280 } }`,
  hybrid: `pattern: "M-M*-M-M-"
hidden: 768
vocab: 8000
blocks: { mamba2: { state: 64, head_dim: 64, groups: 2 }, attention: { heads: 12, kv_heads: 4, head_dim: 64 }, mlp: { width: 2304, activation: relu2 } }`,
};
const cpuWork = [
  ["mamba2", 1, 128],
  ["mamba2", 8, 300],
  ["attention", 1, 500],
  ["attention", 12, 200],
  ["attention", 2, 2000],
  ["hybrid", 1, 128],
  ["hybrid", 3, 700],
  ["hybrid", 24, 100],
];

/** Prompts longer than this are not timed: at most so many tokens of all sequences. */
const mostPromptTokens = gpu ? 131_072 : 1000;
const [models, work] = gpu ? [gpuModels, gpuWork] : [cpuModels, cpuWork];
const hardware = await loadHardware(values.hardware);
const known = new Set(hardware.calibration.points.map(({ operation }) => JSON.stringify(operation)));
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

const plans = Object.fromEntries(
  Object.entries(models).map(([name, text]) => {
    const yaml = `model:\n${text.replaceAll(/^/gm, "  ")}\n`;
    return [name, { ...plan(parseStudy(yaml, { file: name }).spec), name }];
  }),
);
for (const one of Object.values(plans)) {
  const gaps = nativeGaps?.(one) ?? [];
  if (gaps.length > 0) throw new Error(`${one.name}: ${gaps}`);
}

// Calibration and test do not share a shape.
const shared = work.flatMap(([name, batch, length]) => {
  const model = deviceModel(plans[name], 1);
  const passes = [
    { phase: "decode", batch, context: length },
    { phase: "prefill", batch, time: length },
  ];
  return passes.flatMap((pass) =>
    passOperations(model, pass).operations.filter(({ operation }) => known.has(JSON.stringify(operation))),
  );
});
if (shared.length > 0) throw new Error(`shapes of the calibration: ${JSON.stringify(shared[0])}`);

const native = loadNative(addonFor(values.device));
const rows = [];
for (const [name, batch, length] of work) {
  const one = plans[name];
  const [point] = project(one, { hardware, contexts: [length], batch }).points;
  const prompt = batch * length <= mostPromptTokens ? length : 1;
  const decoder = new native.Decoder({
    model: toNativeModel(one),
    ...{ batch, context: length + 64, prompt },
    precision: gpu ? "bf16" : "fp32",
    stateType: "full",
    device: values.device,
    threads: Number(values.threads),
    ...{ seed: 1, initStd: 0.02 },
  });
  decoder.fill(length - 1, 1);
  await decoder.timeSteps(4);
  decoder.fill(length - 1, 1);
  const step = median([...(await decoder.timeSteps(gpu ? 30 : 9))]);
  rows.push({ name, batch, length, what: "token", seconds: step, projected: point.decodeTokenSeconds });
  if (prompt === length) {
    const times = [...(await decoder.timePrefills(length, gpu ? 5 : 3))];
    const projected = point.prefillSeconds;
    rows.push({ name, batch, length, what: "prompt", seconds: median(times.slice(1)), projected });
  }
  decoder.dispose();
  const last = rows.at(-1);
  process.stderr.write(`${name} ${batch} x ${length}: ${(last.projected / last.seconds - 1) * 100}%\n`);
}

const milliseconds = (seconds) => (seconds * 1000).toPrecision(4);
const error = ({ seconds, projected }) => projected / seconds - 1;
const bar = values.markdown ? "|" : " ";
if (values.markdown) {
  process.stdout.write("| model | batch | context | what | measured ms | projected ms | error |\n");
  process.stdout.write("| --- | --- | --- | --- | --- | --- | --- |\n");
}
for (const row of rows) {
  const cells = [row.name.padEnd(15), String(row.batch).padStart(5), String(row.length).padStart(7)];
  const times = [milliseconds(row.seconds).padStart(9), milliseconds(row.projected).padStart(9)];
  const off = `${(100 * error(row)).toFixed(1)}%`.padStart(7);
  process.stdout.write(`${bar} ${[...cells, row.what.padEnd(6), ...times, off].join(` ${bar} `)} ${bar}\n`);
}
for (const what of ["token", "prompt"]) {
  const errors = rows.filter((row) => row.what === what).map((row) => Math.abs(error(row)));
  if (errors.length === 0) continue;
  const worst = (100 * Math.max(...errors)).toFixed(1);
  const middle = (100 * median(errors)).toFixed(1);
  process.stdout.write(`${what}: ${errors.length} shapes, median error ${middle}%, worst ${worst}%\n`);
}
