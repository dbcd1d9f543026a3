// A hardware file as text: YAML with one measured point per line, which parseHardware reads back to the same values.

import type { CalibrationPoint, Figure, Hardware } from "./hardware.js";

const flow = (value: unknown): string => JSON.stringify(value);

function figureLine({ value, basis, source }: Figure): string {
  return `{ value: ${value}, basis: ${basis}, source: ${flow(source)} }`;
}

function pointLine({ operation, seconds, low, high, samples }: CalibrationPoint): string {
  const short = (time: number | undefined) => (time === undefined ? undefined : Number(time.toPrecision(5)));
  return flow({ operation, seconds: short(seconds), low: short(low), high: short(high), samples });
}

/** The text of a hardware file; `title` is its first line, a sentence. */
export function hardwareFileText(hardware: Hardware, title: string): string {
  const { name, matches, arithmetic, memory, bandwidth, peak, interconnect, ceilings, calibration } =
    hardware;
  const lines = [
    `# ${title}`,
    "# Written by layermix calibrate; layermix hardware show FILE explains it.",
    "layermix_hardware: 1",
    `name: ${flow(name)}`,
    `matches: ${flow(matches)}`,
    `arithmetic: ${arithmetic}`,
    `memory: ${figureLine(memory)}`,
    `bandwidth: ${figureLine(bandwidth)}`,
    "peak:",
    ...Object.entries(peak).map(([type, figure]) => `  ${type}: ${figureLine(figure)}`),
  ];
  if (interconnect !== undefined) {
    lines.push(
      "interconnect:",
      `  name: ${flow(interconnect.name)}`,
      `  devices: ${interconnect.devices}`,
      `  bandwidth: ${figureLine(interconnect.bandwidth)}`,
    );
  }
  if (ceilings !== undefined) {
    lines.push(
      "ceilings:",
      ...Object.entries(ceilings).map(([type, one]) => `  ${type}: ${figureLine(one)}`),
    );
  }
  if (calibration !== undefined) {
    const { points, ...origin } = calibration;
    lines.push(
      "calibration:",
      ...Object.entries(origin).map(([key, value]) => `  ${key}: ${flow(value)}`),
      ...(points.length === 0 ? ["  points: []"] : ["  points:"]),
      ...points.map((point) => `    - ${pointLine(point)}`),
    );
  }
  return `${lines.join("\n")}\n`;
}
