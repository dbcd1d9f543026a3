// Every reliability check, in the order of the table.

import type { Check } from "./check.js";
import { clocks } from "./clocks.js";
import { deaths, memory } from "./deaths.js";
import { divergence } from "./divergence.js";
import { failingDisk } from "./failing_disk.js";
import { fullDisk } from "./full_disk.js";
import { interrupts } from "./interrupts.js";
import { kills } from "./kills.js";
import { racing } from "./racing.js";
import { readOnly } from "./read_only.js";
import { silence } from "./silence.js";
import { tornFiles } from "./torn_files.js";

export const checks: readonly Check[] = [
  kills,
  interrupts,
  racing,
  silence,
  clocks,
  tornFiles,
  failingDisk,
  fullDisk,
  readOnly,
  divergence,
  deaths,
  memory,
];
