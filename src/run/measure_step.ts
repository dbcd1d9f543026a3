// How long a training step of a trial takes on a device: a short run in a child process, so that a library that crashes,
// or a device without the memory, takes the measurement down and not the command.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { TrialDefinition } from "../study/trial.js";
import type { NativeTrainerConfig } from "./native.js";

const milliseconds = 600_000;

/**
 * Median seconds of an optimizer step.
 * Throws LMX4023 when it cannot be measured.
 * @param threads CPU threads, as many as a worker has.
 */
export function measureStepSeconds(definition: TrialDefinition, device: string, threads: number): number {
  const { model, optimizer, batch, microBatch, sequence, precision, seed, initStd } = definition;
  const config: NativeTrainerConfig = {
    ...{ model, optimizer, batch, microBatch, sequence, precision, seed, initStd },
    ...{ device, threads },
  };
  const compiled = fileURLToPath(new URL("./time_steps.js", import.meta.url));
  // Tests run the sources, where the compiled entry is not beside this file.
  const [entry, loader] = existsSync(compiled)
    ? [compiled, []]
    : [compiled.replace(/js$/, "ts"), ["--import", "tsx"]];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [...loader, entry], {
    encoding: "utf8",
    input: JSON.stringify(config),
    timeout: milliseconds,
  });
  if (status === 0) return (JSON.parse(stdout) as { readonly seconds: number }).seconds;
  const reason = stderr.match(/^\w*Error: (.*)$/m)?.[1] ?? signal ?? `exit code ${status}`;
  throw new LayermixError(
    {
      code: "LMX4023",
      severity: "error",
      message: `Expected to time a training step of ${model.layers.length} layers, hidden ${model.hidden}, on ${device}, got: ${reason}`,
      help: ["match on params or flops needs no measurement; layermix doctor says what the device can do"],
      path: "sweep.match",
    },
    exitCodes.infeasible,
  );
}
