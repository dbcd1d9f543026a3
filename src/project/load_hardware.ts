// Where hardware comes from: a device that comes with layermix, by its name, or a file.

import { resolve } from "node:path";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { similarName } from "../diag/suggest.js";
import { namesFile } from "../spec/check_project.js";
import { hardwareFile, listHardwareNames } from "../spec/presets.js";
import { readFileLimited } from "../spec/read_source.js";
import type { Hardware } from "./hardware.js";
import { parseHardware } from "./hardware_file.js";

/**
 * The hardware of that name ("h200"), or of that file ("./my-gpu.yaml", relative to `folder`).
 * @throws LayermixError LMX1502 (no such device), LMX1001 (cannot be read), and all that parseHardware finds
 */
export async function loadHardware(name: string, folder = "."): Promise<Hardware> {
  if (namesFile(name)) return parseHardware(await readFileLimited(resolve(folder, name), name), name, name);
  const names = listHardwareNames();
  if (!names.includes(name)) {
    const near = similarName("device", name, names);
    throw new LayermixError(
      {
        code: "LMX1502",
        severity: "error",
        message: `Unknown hardware ${JSON.stringify(name)}`,
        help: [near ?? "layermix hardware list shows all devices; a file is named with its extension"],
      },
      exitCodes.usage,
    );
  }
  const file = hardwareFile(name);
  return parseHardware(await readFileLimited(file, file), file, name);
}

/** Every device that comes with layermix, by name. */
export async function loadAllHardware(): Promise<readonly Hardware[]> {
  const loaded: Hardware[] = [];
  for (const name of listHardwareNames()) loaded.push(await loadHardware(name));
  return loaded;
}

/** The device whose driver name is `reported`; of several that fit, the one that says most ("GB200", not "B200"). */
export function matchHardware(reported: string, known: readonly Hardware[]): Hardware | undefined {
  const fitting = known
    .flatMap((hardware) => hardware.matches.map((part) => ({ hardware, part })))
    .filter(({ part }) => reported.includes(part));
  return fitting.sort((a, b) => b.part.length - a.part.length)[0]?.hardware;
}
