// Every reliability check with a small count; `npm run reliability` does them with the full one.

import assert from "node:assert/strict";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { Skipped } from "./check.js";
import { checks } from "./checks.js";
import { randomNumbers } from "./processes.js";

const seed = Number(process.env.LAYERMIX_CRASH_SEED ?? Date.now() % 1_000_000);

describe(`reliability (LAYERMIX_CRASH_SEED=${seed})`, function () {
  this.timeout(300_000);
  const folder = useTemporaryFolder();
  for (const [index, check] of checks.entries()) {
    it(`${check.name}: ${check.what}`, async function () {
      try {
        const tools = { folder: folder(), random: randomNumbers(seed + index), progress: () => {} };
        const { done, lost, duplicated, wrong } = await check.run(check.small, tools);
        assert.deepEqual({ lost, duplicated, wrong }, { lost: 0, duplicated: 0, wrong: [] });
        assert.ok(done > 0);
      } catch (error) {
        if (!(error instanceof Skipped)) throw error;
        console.log(`      skipped: ${error.message}`);
        this.skip();
      }
    });
  }
});
