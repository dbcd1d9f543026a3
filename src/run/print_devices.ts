// Run by probe_cuda.ts as a process of its own: loads the CUDA addon and prints its devices as JSON.

import { loadNative } from "./load_native.js";

process.stdout.write(JSON.stringify(loadNative("cuda").devices()));
