// `layermix calibrate`: measures how long operations take on a device, and writes a hardware file for `project`.

import { existsSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { Flags } from "@oclif/core";
import type { CalibrationPoint, Hardware } from "../../project/hardware.js";
import { loadAllHardware, loadHardware, matchHardware } from "../../project/load_hardware.js";
import { formatDuration } from "../../report/format.js";
import { hardwareJson } from "../../report/hardware_json.js";
import { hardwareText } from "../../report/hardware_text.js";
import { type CalibrationRequest, calibrate, type DeviceFacts } from "../../run/calibrate.js";
import { chooseDevice } from "../../run/device.js";
import { addonFor, loadNative } from "../../run/load_native.js";
import { probeCuda } from "../../run/probe_cuda.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { usageError } from "../failure.js";
import { nextCommand } from "../next_command.js";
import { sharedFlags } from "../shared_flags.js";
import { withStopSignals } from "../signals.js";

/** Seconds of measuring per shape: many calls on a GPU, a few on a CPU. */
const secondsPerShape = { cuda: 0.03, cpu: 0.1 } as const;
const gibibyte = 1024 ** 3;

export class CalibrateCommand extends LayermixCommand {
  static override summary = "Measure a device and write a hardware file for project.";
  static override description =
    "Times the operations of prefill and decoding at hundreds of shapes through the native library - minutes on a GPU, " +
    "somewhat longer on a CPU - and writes a hardware file: the device, the versions, every shape with its median. " +
    "Interrupt it at any time; the same command continues.";
  static override examples = [
    "<%= config.bin %> calibrate",
    "<%= config.bin %> calibrate --device cuda:0 --out my-gpu.yaml",
    "<%= config.bin %> calibrate --device cpu --quick",
  ];
  static override flags = {
    device: sharedFlags.device,
    out: Flags.string({
      description: "File to write; hardware-DEVICE.yaml by default. Example: --out my-gpu.yaml",
      helpValue: "FILE",
    }),
    quick: Flags.boolean({
      description: "Fewer shapes, in a fraction of the time; bands are wider. Example: --quick",
    }),
    threads: Flags.integer({
      description: "CPU threads; all cores by default. Example: --threads 4",
      helpValue: "COUNT",
      default: 0,
      min: 0,
      max: 1024,
    }),
    force: Flags.boolean({
      description: "Measure anew what the file already has. Example: --force",
    }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { flags } = await this.parse(CalibrateCommand);
    const device = chooseDevice(flags.device);
    const facts = await this.#facts(device, flags.threads);
    const plan = flags.quick ? "quick" : "full";
    const file = flags.out ?? `hardware-${device.replace(":", "")}.yaml`;
    const points = await this.#resumable(file, facts, plan, flags.force);
    const native = loadNative(addonFor(device));
    this.note(`measuring ${facts.reported} (${plan}) into ${file}`);
    if (points.length > 0) this.note(`${points.length} shapes were measured before`);
    const started = performance.now();
    return withStopSignals(
      () => this.note("stopping after this shape; the same command continues"),
      async (signals) => {
        const hardware = await calibrate(native, {
          ...{ facts, plan, file, points },
          seconds: device === "cpu" ? secondsPerShape.cpu : secondsPerShape.cuda,
          date: new Date().toISOString().slice(0, 19).replace("T", " "),
          version: this.config.version,
          stop: signals.stop,
          onProgress: this.#progress(started),
          onSkipped: ({ kind }, reason) => this.note(`left out a shape of ${kind}: ${reason}`),
        });
        if (signals.exitCode !== undefined) process.exitCode = signals.exitCode;
        const shown = { ...hardware, id: file };
        const took = formatDuration((performance.now() - started) / 1000);
        return {
          data: { file, ...hardwareJson(shown) },
          text: `${hardwareText(shown, { color: this.color, width: 100 })}\n\nWrote ${file} (${took})`,
          ...(signals.exitCode === undefined
            ? nextCommand(`project preset:mamba2-hybrid-8b --hardware`, file)
            : {}),
        };
      },
    );
  }

  async #facts(device: string, threads: number): Promise<DeviceFacts> {
    const cores = availableParallelism();
    if (device === "cpu") {
      const reported = cpus()[0]?.model.trim() || "CPU";
      return { device, reported, memoryBytes: totalmem(), threads, cores };
    }
    const reported = probeCuda().cuda[Number(device.slice("cuda:".length))]!;
    const known = matchHardware(reported, await loadAllHardware());
    const memory = Number(/([\d.]+) GiB/.exec(reported)?.[1] ?? "0") * gibibyte;
    return {
      ...{ device, reported, threads, cores },
      memoryBytes: memory > 0 ? memory : 16 * gibibyte,
      ...(known === undefined ? {} : { known }),
    };
  }

  /** The points of an interrupted calibration of the same device and plan; a finished one needs --force. */
  async #resumable(
    file: string,
    facts: DeviceFacts,
    plan: CalibrationRequest["plan"],
    force: boolean,
  ): Promise<readonly CalibrationPoint[]> {
    if (force || !existsSync(file)) return [];
    const { calibration }: Hardware = await loadHardware(/[/\\]/.test(file) ? file : `./${file}`);
    const same =
      calibration !== undefined &&
      !calibration.complete &&
      calibration.device === facts.reported &&
      calibration.plan === plan &&
      (facts.device !== "cpu" || calibration.threads === (facts.threads || facts.cores));
    if (same) return calibration.points;
    const what = calibration?.complete === true ? "a finished calibration" : "something else";
    throw usageError("LMX6010", `${file} exists and holds ${what}`, [
      "choose another file with --out, or measure anew with --force",
    ]);
  }

  #progress(started: number): CalibrationRequest["onProgress"] {
    let shown = 0;
    return (done, total, last) => {
      const now = performance.now();
      if (now - shown < (this.interactive ? 200 : 10_000) && done < total) return;
      shown = now;
      const what = last === undefined ? "" : `  ${last.operation.kind} ${formatDuration(last.seconds)}`;
      const text = `[${done}/${total}] ${formatDuration((now - started) / 1000)}${what}`;
      if (this.interactive) process.stderr.write(`\r\u001b[K${text}${done === total ? "\n" : ""}`);
      else this.note(text);
    };
  }
}
