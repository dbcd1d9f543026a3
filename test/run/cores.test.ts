// Workers and threads: physical cores are shared out, never oversubscribed unless asked.
import assert from "node:assert/strict";
import {
  countPhysicalCores,
  defaultTrialsAtOnce,
  type Pooling,
  physicalCores,
  shareCores,
} from "../../src/run/cores.js";

const processor = (id: number, socket: number, core: number): string =>
  `processor\t: ${id}\nmodel name\t: Some CPU\nphysical id\t: ${socket}\nsiblings\t: 4\ncore id\t\t: ${core}\n`;

/** Without the trials of each process: on a CPU it is one. */
const onCpu = (cores: number, trials: number, atOnce?: number): Partial<Pooling> => {
  const { trialsPerWorker, ...rest } = shareCores("cpu", cores, trials, atOnce);
  assert.equal(trialsPerWorker, 1);
  return rest;
};

describe("cores", () => {
  it("gives each trial one thread while there are trials enough", () => {
    assert.deepEqual(onCpu(2, 36), { workers: 2, threadsPerTrial: 1 });
    assert.deepEqual(onCpu(16, 36), { workers: 16, threadsPerTrial: 1 });
  });

  it("gives the threads that are left over to fewer workers", () => {
    assert.deepEqual(onCpu(16, 1), { workers: 1, threadsPerTrial: 16 });
    assert.deepEqual(onCpu(16, 36, 4), { workers: 4, threadsPerTrial: 4 });
    assert.deepEqual(onCpu(16, 36, 3), { workers: 3, threadsPerTrial: 5 });
  });

  it("does what it is told beyond the cores, and needs at least one worker", () => {
    assert.deepEqual(onCpu(2, 36, 8), { workers: 8, threadsPerTrial: 1 });
    assert.deepEqual(onCpu(2, 0), { workers: 1, threadsPerTrial: 2 });
  });

  it("gives the trials of a GPU one process", () => {
    const shared = { workers: 1, trialsPerWorker: 4, threadsPerTrial: 4 };
    assert.deepEqual(shareCores("cuda:0", 16, 36, 4), shared);
    assert.deepEqual(shareCores("cuda:1", 16, 2, 4), { workers: 1, trialsPerWorker: 2, threadsPerTrial: 8 });
  });

  it("lets small trials share a GPU, and large ones take turns", () => {
    assert.equal(defaultTrialsAtOnce("cuda:0", 1e12), 4);
    assert.equal(defaultTrialsAtOnce("cuda:1", 19e12), 1);
    assert.equal(defaultTrialsAtOnce("cpu", 1e12), undefined);
  });

  it("counts hyper-threads of one core once, and equal core numbers of two sockets twice", () => {
    const cpus = [
      processor(0, 0, 0),
      processor(1, 0, 1),
      processor(2, 0, 0),
      processor(3, 0, 1),
      processor(4, 1, 0),
    ];
    assert.equal(countPhysicalCores(cpus.join("\n")), 3);
    assert.equal(countPhysicalCores("processor\t: 0\nBogoMIPS\t: 50\n"), 0);
  });

  it("finds at least one core here", () => {
    assert.ok(physicalCores() >= 1);
  });
});
