// Errors that end a trial: whose they are, and what becomes of the claim.
import assert from "node:assert/strict";
import { exitCodes, LayermixError } from "../../src/diag/diagnostic.js";
import { ClaimHold } from "../../src/run/claim_hold.js";
import { DeviceFault, guardTrial } from "../../src/run/guard_trial.js";
import type { TrialEnd } from "../../src/run/worker_messages.js";
import { endClaim, readClaim, tryClaim } from "../../src/study/claim.js";
import { readOutcome, type TrialFailure } from "../../src/study/outcome.js";
import { identifyProcess } from "../../src/study/process_identity.js";
import { trialLayout } from "../../src/study/study_layout.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";

describe("an error that ends a trial", () => {
  const folder = useTemporaryFolder();
  const claims = (): string => trialLayout.claims(folder());
  const nativeError = (code: string): Error => Object.assign(new Error("as the library says"), { code });

  const logged: string[] = [];
  beforeEach(() => logged.splice(0));

  /** Runs a trial that ends with this error. */
  function guarded(error: Error, before = () => {}): Promise<TrialEnd> {
    const hold = new ClaimHold(tryClaim(claims(), identifyProcess())!);
    before();
    const trial = { trialFolder: folder(), id: "t1", hold, log: (text: string) => logged.push(text) };
    return guardTrial(trial, () => Promise.reject(error));
  }
  const failure = (): TrialFailure | undefined => readOutcome(folder()) as TrialFailure | undefined;
  const claimEnded = (): boolean | undefined => readClaim(claims())?.ended;

  it("is published as its failure, with the library's words", async () => {
    assert.equal(await guarded(nativeError("internal")), "failed");
    assert.equal(failure()?.code, "LMX4009");
    assert.equal(failure()?.cause, "error");
    assert.equal(failure()?.message, "as the library says");
    assert.equal(claimEnded(), true);
    assert.match(logged.join(), /as the library says\n +at /);
  });

  it("is want of memory where the library says so", async () => {
    assert.equal(await guarded(nativeError("out_of_memory")), "failed");
    assert.equal(failure()?.code, "LMX4020");
    assert.equal(failure()?.cause, "oom");
  });

  it("ends the process where the GPU is at fault: the claim stays, for the pool to find out whose fault it was", async () => {
    await assert.rejects(guarded(nativeError("device_fault")), (error) => {
      assert.ok(error instanceof DeviceFault);
      assert.equal(error.message, "t1: as the library says");
      return true;
    });
    assert.equal(failure(), undefined);
    assert.equal(claimEnded(), false);
  });

  it("ends the process for the GPU's fault even where somebody else has the trial by now", async () => {
    const taken = (): void => {
      endClaim(claims(), 1, "silent");
      assert.ok(tryClaim(claims(), { ...identifyProcess(), host: "another-machine" }));
    };
    await assert.rejects(guarded(nativeError("device_fault"), taken), DeviceFault);
  });

  it("gives the trial back where the device is not there", async () => {
    await assert.rejects(guarded(nativeError("no_device")), (error) => {
      assert.ok(error instanceof LayermixError);
      assert.equal(error.exitCode, exitCodes.noDevice);
      assert.equal(error.diagnostics[0]!.message, "As the library says");
      return true;
    });
    assert.equal(failure(), undefined);
    assert.equal(claimEnded(), true);
  });

  it("gives the trial back where every other would meet it as well", async () => {
    const full = { code: "LMX4005", severity: "error", message: "disk full", help: [] } as const;
    const error = new LayermixError(full, exitCodes.storage);
    await assert.rejects(guarded(error), error);
    assert.equal(failure(), undefined);
    assert.equal(claimEnded(), true);
  });
});
