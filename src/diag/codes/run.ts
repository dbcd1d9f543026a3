// Codes 3xxx: the native library and running trials. 300x the library itself.

import type { CodeTable } from "../code_table.js";

export const runCodes: CodeTable = {
  LMX3001: {
    title: "Native library not built",
    explanation: `Training, memory measurement and verification run in a native library that is compiled on
this machine; nothing is downloaded. It was not found where the build puts it. Planning, checking and
projecting work without it.`,
    help: "Run npm run build in a checkout of layermix, npm run build:native where npm has installed it; it needs a C++17 compiler and CMake 3.22 or later.",
  },
  LMX3002: {
    title: "Native library does not load",
    explanation: `The file is there, but Node could not load it. The usual causes: it was built on another
machine (it uses the vector instructions of the machine it was built on) or copied from another operating
system, or a system library it needs is missing.`,
    help: "Delete the build folder, and build again on this machine.",
  },
  LMX3003: {
    title: "No such device",
    explanation: `The device named is not there, or this build has no support for it. "cpu" is always there.`,
    help: "Use --device cpu or --device auto.",
  },
  LMX3004: {
    title: "Out of memory",
    explanation: `The model, its optimizer and the activations of one forward pass are allocated at once,
before the first step, and did not fit. The message says how many bytes were asked for.`,
    help: "Use a smaller model, sequence or batch, or run fewer workers at a time; layermix plan shows the memory.",
  },
  LMX3005: {
    title: "The native library cannot run this",
    explanation: `A value is outside what the native library accepts. Study files are checked before; this is
about values that come from elsewhere, such as tokens outside the vocabulary or a checkpoint whose sizes do
not fit together.`,
  },
  LMX3006: {
    title: "Native library failed",
    explanation:
      "A call into the native library failed for a reason that no input should be able to cause. It is a bug.",
    help: "Report it together with the command and its input.",
  },
};
