// Training tokens/s of a small hybrid: layermix on the CPU against the same model in PyTorch (bench/train_pytorch.py).
//
//   npx tsx bench/train.ts [--python /path/to/python3] [--threads 2] [--steps 20]
//
// Both run in the same invocation, layermix before and after PyTorch, so that a noisy machine shows. Without --python
// only layermix is timed. Prints a Markdown table for bench/RESULTS.md.

import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { loadNative } from "../src/run/load_native.js";
import type { NativeTrainerConfig } from "../src/run/native.js";

interface Shape {
  readonly name: string;
  readonly pattern: string;
  readonly hidden: number;
  readonly headDim: number;
  readonly state: number;
  readonly attentionHeads: number;
  readonly batch: number;
  readonly sequence: number;
  readonly chunk: number;
}

const shapes: readonly Shape[] = [
  {
    name: "d128",
    pattern: "M-M-M*-M-M-",
    hidden: 128,
    headDim: 32,
    state: 32,
    attentionHeads: 4,
    batch: 16,
    sequence: 256,
    chunk: 64,
  },
  {
    name: "d256",
    pattern: "M-M-M*-M-M-",
    hidden: 256,
    headDim: 64,
    state: 64,
    attentionHeads: 4,
    batch: 8,
    sequence: 512,
    chunk: 64,
  },
];
const vocab = 256;

function trainerConfig(shape: Shape, threads: number): NativeTrainerConfig {
  const { hidden } = shape;
  const layers = [...shape.pattern].map((symbol) => {
    if (symbol === "M") {
      const heads = (2 * hidden) / shape.headDim;
      return {
        kind: "mamba2",
        heads,
        headDim: shape.headDim,
        groups: 1,
        state: shape.state,
        conv: 4,
        chunk: shape.chunk,
        dtMin: 0,
      } as const;
    }
    if (symbol === "*") {
      const heads = shape.attentionHeads;
      return {
        kind: "attention",
        heads,
        kvHeads: heads,
        headDim: hidden / heads,
        rotaryDim: 0,
        ropeTheta: 10000,
      } as const;
    }
    return { kind: "mlp", width: 4 * hidden, activation: "gelu", gated: false } as const;
  });
  return {
    model: { hidden, vocab, tieEmbeddings: false, normEps: 1e-5, layers },
    optimizer: {
      learningRate: 1e-3,
      minimumLearningRate: 1e-4,
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
      weightDecay: 0.1,
      clipNorm: 1,
      schedule: "cosine",
      totalSteps: 1000,
      warmupSteps: 20,
      decaySteps: 0,
    },
    batch: shape.batch,
    microBatch: shape.batch,
    sequence: shape.sequence,
    precision: "fp32",
    device: "cpu",
    threads,
    seed: 1,
    initStd: 0.02,
  };
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[values.length >> 1] ?? Number.NaN;
}

async function measureLayermix(
  shape: Shape,
  threads: number,
  steps: number,
): Promise<{ seconds: number; params: number }> {
  const trainer = new (loadNative().Trainer)(trainerConfig(shape, threads));
  const count = shape.batch * shape.sequence;
  const tokens = Int32Array.from({ length: count + 1 }, (_, i) => ((i * 2654435761) >>> 8) % vocab);
  const times: number[] = [];
  for (let i = 0; i < steps + 3; i++) {
    const start = performance.now();
    await trainer.train([{ tokens: tokens.slice(0, count), targets: tokens.slice(1) }]);
    if (i >= 3) times.push((performance.now() - start) / 1000);
  }
  const params = trainer.tensors.reduce((sum, t) => sum + t.count, 0);
  trainer.dispose();
  return { seconds: median(times), params };
}

interface PeerResult {
  torch: string;
  modes: Record<string, { params: number; stepSeconds: number }>;
}

function measurePyTorch(python: string, shape: Shape, threads: number, steps: number): PeerResult {
  const config = {
    pattern: shape.pattern,
    hidden: shape.hidden,
    vocab,
    heads: (2 * shape.hidden) / shape.headDim,
    head_dim: shape.headDim,
    groups: 1,
    state: shape.state,
    conv: 4,
    chunk: shape.chunk,
    attention_heads: shape.attentionHeads,
    kv_heads: shape.attentionHeads,
    attention_head_dim: shape.hidden / shape.attentionHeads,
    width: 4 * shape.hidden,
    batch: shape.batch,
    sequence: shape.sequence,
    warmup: 3,
    steps,
    threads,
  };
  return JSON.parse(
    execFileSync(python, ["bench/train_pytorch.py", JSON.stringify(config)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }),
  );
}

const { values: flags } = parseArgs({
  options: {
    python: { type: "string" },
    threads: { type: "string", default: "2" },
    steps: { type: "string", default: "20" },
  },
});
const threads = Number(flags.threads);
const steps = Number(flags.steps);
console.log(`${cpus()[0]?.model.trim()}, ${threads} threads; ${loadNative().info().build}\n`);
console.log(
  "| model | params | tokens/step | layermix ms | PyTorch eager ms | compile ms | tokens/s | ratio to the faster |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const shape of shapes) {
  const before = await measureLayermix(shape, threads, steps);
  const peer = flags.python ? measurePyTorch(flags.python, shape, threads, steps) : undefined;
  const after = await measureLayermix(shape, threads, steps);
  const seconds = (before.seconds + after.seconds) / 2;
  const [eager, compiled] = [peer?.modes.eager, peer?.modes.compile];
  if (eager && eager.params !== before.params)
    throw new Error(`models differ: ${eager.params} and ${before.params} parameters`);
  const best = Math.min(eager?.stepSeconds ?? Number.NaN, compiled?.stepSeconds ?? Number.NaN);
  const milliseconds = (s?: number) => (s === undefined ? "-" : (s * 1000).toFixed(1));
  const tokens = shape.batch * shape.sequence;
  console.log(
    `| ${shape.name} ${shape.pattern} | ${before.params} | ${tokens} | ${milliseconds(before.seconds)}, ${milliseconds(after.seconds)} | ` +
      `${milliseconds(eager?.stepSeconds)} | ${milliseconds(compiled?.stepSeconds)} | ${(tokens / seconds).toFixed(0)} | ${(best / seconds).toFixed(2)} |`,
  );
}
