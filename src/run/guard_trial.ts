// What becomes of an error that a trial ends with: its failure, where it is the trial's own; otherwise it is the worker's, and the trial stays
// to be done.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { studyFormat } from "../study/json_file.js";
import { publishFailure } from "../study/outcome.js";
import type { ClaimHold } from "./claim_hold.js";
import { isOutOfMemory } from "./fit_trainer.js";
import type { TrialEnd } from "./worker_messages.js";

export interface GuardedTrial {
  readonly trialFolder: string;
  readonly id: string;
  readonly hold: ClaimHold;
  /** On which it runs. */
  readonly device: string;
  /** Takes the stack of an error that is published without it. */
  readonly log: (text: string) => void;
}

/**
 * A call to a GPU failed, and not for want of memory: an illegal address, say. Whatever the process asks of the device from then on fails
 * too, for all of its trials. It must end as in a crash, with its claims as they are: the pool finds out which of the trials it was.
 */
export class DeviceFault extends Error {
  constructor(id: string, cause: Error) {
    super(`${id}: ${cause.message}`, { cause });
  }
}

/**
 * Runs a trial; an error of its own is published as its failure.
 * Throws {@link DeviceFault}; what every other trial would meet as well (the disk, no device), after giving the trial back.
 */
export async function guardTrial(trial: GuardedTrial, run: () => Promise<TrialEnd>): Promise<TrialEnd> {
  const { hold, id, device } = trial;
  try {
    return await run();
  } catch (error) {
    if (!hold.check()) return "lost"; // whatever went wrong, the files are no longer ours
    if (concernsTheMachine(error)) {
      hold.end("released");
      throw error;
    }
    if (isDeviceFault(error, device)) throw new DeviceFault(id, error);
    publish(trial, error as Error);
    hold.end("finished");
    return "failed";
  } finally {
    hold.drop();
  }
}

function publish({ trialFolder, id, log }: GuardedTrial, error: Error): void {
  const diagnostic = error instanceof LayermixError ? error.diagnostics[0] : undefined;
  const outOfMemory = isOutOfMemory(error);
  log(`${error.stack ?? error}\n`);
  publishFailure(trialFolder, {
    format: studyFormat,
    id,
    code: diagnostic?.code ?? (outOfMemory ? "LMX4020" : "LMX4009"),
    cause: outOfMemory ? "oom" : "error",
    message: diagnostic?.message ?? error.message,
    stderr: [],
  });
}

function concernsTheMachine(error: unknown): boolean {
  if (!(error instanceof LayermixError)) return false;
  return error.exitCode === exitCodes.storage || error.exitCode === exitCodes.noDevice;
}

function isDeviceFault(error: unknown, device: string): error is Error {
  return device !== "cpu" && error instanceof Error && "code" in error && error.code === "internal";
}
