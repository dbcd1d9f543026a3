// One worker process: claims trials in the order given, runs each, and exits when nothing is left to claim. It serves
// one pool; when the pool is gone (its channel closes) it saves its work and stops, so that a killed sweep leaves no
// process behind that nobody watches. Entry point: bin/worker.js.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { tryClaim } from "../study/claim.js";
import { readJson, studyFormat } from "../study/json_file.js";
import { publishFailure, readOutcome } from "../study/outcome.js";
import { identifyProcess } from "../study/process_identity.js";
import { studyLayout, trialLayout } from "../study/study_layout.js";
import type { TrialFile } from "../study/trial.js";
import { ClaimHold } from "./claim_hold.js";
import { addonFor, loadNative } from "./load_native.js";
import { runTrial } from "./run_trial.js";
import type { FromWorker, ToWorker, TrialEnd, WorkerOrder } from "./worker_messages.js";

/** Serves one pool over the process's IPC channel, then exits. */
export async function serveAsWorker(): Promise<void> {
  const stop = new AbortController();
  process.on("SIGINT", () => {}); // Ctrl-C reaches the whole process group; the pool decides what it means
  process.on("SIGTERM", () => stop.abort());
  process.on("disconnect", () => stop.abort());
  const order = await receiveOrder(stop);
  try {
    if (order !== undefined) await work(order, stop.signal);
  } catch (error) {
    process.exitCode = await reportFatal(error);
  }
  if (process.connected) process.disconnect();
}

function receiveOrder(stop: AbortController): Promise<WorkerOrder | undefined> {
  return new Promise((resolve) => {
    stop.signal.addEventListener("abort", () => resolve(undefined));
    process.on("message", (message: ToWorker) => {
      if (message.kind === "stop") stop.abort();
      else resolve(message);
    });
  });
}

async function work(order: WorkerOrder, stop: AbortSignal): Promise<void> {
  const native = loadNative(addonFor(order.device));
  send({ kind: "ready", build: native.info().build });
  const ended = new Set<string>();
  for (;;) {
    const claimed = stop.aborted ? undefined : claimNext(order, ended);
    if (claimed === undefined) return;
    const { trialFolder, file, hold } = claimed;
    const how = await runGuarded(trialFolder, file, hold, () =>
      runTrial({ native, trialFolder, file, hold, stop, order, report: send }),
    );
    process.stderr.write(`${new Date().toISOString()} ${file.id} ${how}\n`);
    send({ kind: "ended", id: file.id, how });
  }
}

/**
 * The first trial of the order that has not ended and that nobody else is working on.
 * @param ended trials known to have ended, which need not be looked at again; added to.
 */
function claimNext(
  order: WorkerOrder,
  ended: Set<string>,
): { readonly trialFolder: string; readonly file: TrialFile; readonly hold: ClaimHold } | undefined {
  const here = identifyProcess();
  const pool = identifyProcess(process.ppid);
  for (const id of order.trials) {
    if (ended.has(id)) continue;
    const trialFolder = studyLayout.trial(order.studyFolder, id);
    if (readOutcome(trialFolder) !== undefined) {
      ended.add(id);
      continue;
    }
    const claim = tryClaim(trialLayout.claims(trialFolder), here, pool);
    if (claim === undefined) continue;
    // Its last owner may have finished between our two looks.
    const file = readOutcome(trialFolder)
      ? undefined
      : readJson<TrialFile>(trialLayout.definition(trialFolder));
    if (file === undefined) {
      claim.end("released");
      continue;
    }
    process.stderr.write(`${new Date().toISOString()} ${id} claimed (generation ${claim.generation})\n`);
    return { trialFolder, file, hold: new ClaimHold(claim) };
  }
  return undefined;
}

/** Runs a trial; what it throws becomes its failure, unless the machine and not the trial is at fault. */
async function runGuarded(
  trialFolder: string,
  file: TrialFile,
  hold: ClaimHold,
  run: () => Promise<TrialEnd>,
): Promise<TrialEnd> {
  try {
    return await run();
  } catch (error) {
    if (!hold.check()) return "lost"; // whatever went wrong, the files are no longer ours
    if (concernsTheMachine(error)) {
      hold.end("released");
      throw error;
    }
    const diagnostic = error instanceof LayermixError ? error.diagnostics[0] : undefined;
    process.stderr.write(`${(error as Error).stack ?? error}\n`);
    publishFailure(trialFolder, {
      format: studyFormat,
      id: file.id,
      code: diagnostic?.code ?? "LMX4009",
      message: diagnostic?.message ?? (error as Error).message,
      stderr: [],
    });
    hold.end("finished");
    return "failed";
  } finally {
    hold.drop();
  }
}

/** Errors that every other trial would meet as well: the disk, the device. */
function concernsTheMachine(error: unknown): boolean {
  if (!(error instanceof LayermixError)) return false;
  return error.exitCode === exitCodes.storage || error.exitCode === exitCodes.noDevice;
}

async function reportFatal(error: unknown): Promise<number> {
  process.stderr.write(`${(error as Error).stack ?? error}\n`);
  if (!(error instanceof LayermixError)) return exitCodes.internal;
  const { diagnostics, exitCode } = error;
  const message: FromWorker = { kind: "fatal", diagnostics, exitCode };
  if (process.connected) await new Promise((sent) => process.send!(message, sent));
  return exitCode;
}

/** Progress for the pool; a pool that is gone is noticed elsewhere. */
function send(message: FromWorker): void {
  if (process.connected) process.send!(message, () => {});
}
