// What becomes of an error that a trial ends with: its failure, where it is the trial's own; otherwise it is the worker's, and the trial stays
// to be done.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { studyFormat } from "../study/json_file.js";
import { publishFailure } from "../study/outcome.js";
import type { ClaimHold } from "./claim_hold.js";
import { isOutOfMemory } from "./fit_trainer.js";
import { fromNativeError, nativeErrorCode } from "./native_error.js";
import type { TrialEnd } from "./worker_messages.js";

export interface GuardedTrial {
  readonly trialFolder: string;
  readonly id: string;
  readonly hold: ClaimHold;
  /** Takes the stack of an error that is published without it. */
  readonly log: (text: string) => void;
}

/**
 * The GPU is at fault: an illegal address, say. Whatever the process asks of it from then on fails too, for all of its trials. It must end
 * as in a crash, with its claims as they are: the pool finds out which of the trials it was.
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
  const { hold, id } = trial;
  try {
    return await run();
  } catch (thrown) {
    if (nativeErrorCode(thrown) === "device_fault") throw new DeviceFault(id, thrown as Error); // whoever has the claim by now
    if (!hold.check()) return "lost"; // whatever went wrong, the files are no longer ours
    const error = nativeErrorCode(thrown) === "no_device" ? fromNativeError(thrown) : thrown;
    if (concernsTheMachine(error)) {
      hold.end("released");
      throw error;
    }
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
