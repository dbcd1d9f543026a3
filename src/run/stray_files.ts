// What a process killed in the middle of a write leaves behind: "NAME.tmp-PID-RANDOM" files that nobody will ever read.

import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { onDisk } from "../study/storage_error.js";

/** Files of a trial that only the holder of its claim writes. */
const owned = /^(metrics|checkpoint|timing|result|rung-\d+|micro-batch)\.[a-z.]+\.tmp-\d+-[0-9a-f]{12}$/;

/** Removes those of earlier owners from a trial's folder. Only for the holder of the claim. */
export function removeStrayFiles(folder: string): void {
  onDisk("write", folder, () => {
    for (const name of readdirSync(folder)) {
      if (owned.test(name)) rmSync(join(folder, name), { force: true });
    }
  });
}
