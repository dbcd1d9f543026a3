// Workers and threads: physical cores are shared out, never oversubscribed unless asked.
import assert from "node:assert/strict";
import { countPhysicalCores, defaultWorkers, physicalCores, shareCores } from "../../src/run/cores.js";

const processor = (id: number, socket: number, core: number): string =>
  `processor\t: ${id}\nmodel name\t: Some CPU\nphysical id\t: ${socket}\nsiblings\t: 4\ncore id\t\t: ${core}\n`;

describe("cores", () => {
  it("gives each trial one thread while there are trials enough", () => {
    assert.deepEqual(shareCores(2, 36), { workers: 2, threadsPerWorker: 1 });
    assert.deepEqual(shareCores(16, 36), { workers: 16, threadsPerWorker: 1 });
  });

  it("gives the threads that are left over to fewer workers", () => {
    assert.deepEqual(shareCores(16, 1), { workers: 1, threadsPerWorker: 16 });
    assert.deepEqual(shareCores(16, 36, 4), { workers: 4, threadsPerWorker: 4 });
    assert.deepEqual(shareCores(16, 36, 3), { workers: 3, threadsPerWorker: 5 });
  });

  it("does what it is told beyond the cores, and needs at least one worker", () => {
    assert.deepEqual(shareCores(2, 36, 8), { workers: 8, threadsPerWorker: 1 });
    assert.deepEqual(shareCores(2, 0), { workers: 1, threadsPerWorker: 2 });
  });

  it("lets small trials share a GPU, and large ones take turns", () => {
    assert.equal(defaultWorkers("cuda:0", 1e12), 4);
    assert.equal(defaultWorkers("cuda:0", 5e12), 2);
    assert.equal(defaultWorkers("cuda:1", 30e12), 1);
    assert.equal(defaultWorkers("cpu", 1e12), undefined);
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
