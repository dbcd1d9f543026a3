// What a reliability check is: something is done to real studies so many times, and what was lost, duplicated or wrong is counted.

export interface Check {
  readonly name: string;
  /** One line: what is done, and what must hold. */
  readonly what: string;
  /** How often in `npm run reliability`, and in `npm test`. */
  readonly full: number;
  readonly small: number;
  run(count: number, tools: Tools): Promise<Tally>;
}

export interface Tools {
  /** An empty folder of this check's own. */
  readonly folder: string;
  /** Uniform in [0, 1); the same for the same LAYERMIX_CRASH_SEED. */
  readonly random: () => number;
  /** Says how many of `count` are behind us. */
  readonly progress: (done: number) => void;
}

/** Counts of one check. */
export class Tally {
  /** How often it was done: kills, cuts, failed operations ... */
  done = 0;
  /** Trials that had finished and were no longer there. */
  lost = 0;
  /** Trials that had finished and were run again. */
  duplicated = 0;
  /** Everything else that was not as it must be, in words. */
  readonly wrong: string[] = [];
  /** What happened on the way, for the table: "31 resumes". */
  readonly notes: string[] = [];

  get ok(): boolean {
    return this.done > 0 && this.lost === 0 && this.duplicated === 0 && this.wrong.length === 0;
  }

  /** Notes what is wrong unless the condition holds. */
  expect(condition: boolean, otherwise: string): void {
    if (!condition) this.wrong.push(otherwise);
  }
}

/** A skip with its reason: the machine cannot do what the check needs. */
export class Skipped extends Error {}
