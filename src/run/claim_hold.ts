// Holding a claim while a trial runs: the heartbeat, and the news that somebody has given us up for dead (a machine
// that was paused for a minute). The trial then belongs to its successor and this process must not publish anything.

import { type Claim, heartbeatMilliseconds } from "../study/claim.js";

export class ClaimHold {
  readonly claim: Claim;
  readonly #timer: NodeJS.Timeout;
  readonly #ending = new AbortController();
  #failure: unknown;

  constructor(claim: Claim) {
    this.claim = claim;
    this.#timer = setInterval(() => this.#beat(), heartbeatMilliseconds);
  }

  /** True once the claim has passed to somebody else. Throws what the heartbeat threw (a full or lost disk). */
  get lost(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#ending.signal.aborted;
  }

  /** Aborted when the claim has passed to somebody else, or its heartbeat has failed. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Looks at the claim now instead of at the next beat. */
  check(): boolean {
    this.#beat();
    return !this.lost;
  }

  /** Stops the heartbeat and ends the claim. */
  end(reason: "finished" | "released"): void {
    this.drop();
    this.claim.end(reason);
  }

  /** Stops the heartbeat and leaves the claim as it is. */
  drop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    try {
      if (!this.claim.beat()) this.#ending.abort();
    } catch (error) {
      this.#failure = error;
      this.#ending.abort();
    }
  }
}
