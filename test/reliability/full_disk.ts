// A disk that is full from some moment on, and files that may not grow over a limit (`ulimit -f`, EFBIG). Once there is room, the
// same command ends with the same bytes.

import { type Check, Tally } from "./check.js";
import { diskStudy, failOnce } from "./failing_disk.js";
import { FaultShim } from "./fault_shim.js";
import { Bench, compare } from "./studies.js";

export const fullDisk: Check = {
  name: "disk full, file too large",
  what: "ENOSPC from a random moment on, or a file size limit of 1 to 64 KiB; then the same command with room",
  full: 100,
  small: 2,
  async run(count, { folder, random, progress }) {
    const tally = new Tally();
    const bench = new Bench(folder, diskStudy);
    const shim = new FaultShim(folder);
    await bench.finish("calm", tally, {
      workers: 1,
      env: shim.failing(bench.study("calm"), { at: 0, errno: "EIO" }),
    });
    const operations = shim.operations;
    let failures = 0;
    while (tally.done < count && tally.wrong.length < 20) {
      const name = `rough-${tally.done}`;
      if (tally.done % 2 === 0) {
        const at = 1 + Math.floor(random() * operations);
        if (await failOnce(bench, shim, name, { at, errno: "ENOSPC", sticky: true }, tally)) failures++;
      } else {
        const kib = 1 + Math.floor(random() * 64);
        const shell = `ulimit -f ${kib}; exec "$0" "$@"`;
        const { code, said } = await bench.run(name, { workers: 1, shell });
        tally.expect(code === 0 || code === 6, `ulimit -f ${kib}: exit code ${code}\n${said}`);
        if (code === 6) {
          failures++;
          tally.expect(
            /^error\[LMX4001\]: Expected to write /m.test(said),
            `ulimit -f ${kib}: not our words\n${said}`,
          );
        }
        await bench.finish(name, tally, { workers: 1 });
      }
      compare(bench.study("calm"), bench.study(name), tally);
      tally.done++;
      progress(tally.done);
    }
    tally.notes.push(`${failures} runs ended with exit code 6`);
    return tally;
  },
};
