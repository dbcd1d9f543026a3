#!/usr/bin/env node
// One worker process of a sweep. Started by the pool (src/run/worker_process.ts), not by hand.
import { serveAsWorker } from "../dist/run/worker.js";

await serveAsWorker();
