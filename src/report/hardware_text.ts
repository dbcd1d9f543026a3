// Devices for people: a table of all, and one with the source of every number.

import { calibrationErrors } from "../project/curve_set.js";
import { type Figure, type Hardware, peakTypes } from "../project/hardware.js";
import { columns, paint, type TextStyle } from "./columns.js";
import { counted, formatBytes } from "./format.js";
import { type Column, renderTable } from "./text_table.js";

const digits = (value: number): string => Number(value.toPrecision(4)).toString();
const tera = (value: number): string => digits(value / 1e12);

/** A rate with the prefix that suits it: 4.8e12 -> "4.8 TB/s", 4.7e10 -> "47 GFLOP/s". */
function rate(value: number, unit: string): string {
  return value >= 5e11 ? `${tera(value)} T${unit}` : `${digits(value / 1e9)} G${unit}`;
}

/** One row per device; rates in TB/s and TFLOP/s. */
export function hardwareTable(devices: readonly Hardware[], style: TextStyle): string {
  const right = (title: string, dropOrder: number): Column => ({ title, align: "right", dropOrder });
  const table: readonly Column[] = [
    { title: "name", align: "left", dropOrder: 0 },
    { title: "device", align: "left", dropOrder: 3 },
    right("memory", 0),
    right("TB/s", 0),
    right("bf16", 0),
    right("fp8", 1),
    right("int8", 2),
    right("fp4", 4),
    right("link GB/s", 5),
    { title: "utilisation", align: "left", dropOrder: 1 },
  ];
  const rows = devices.map(({ id, name, memory, bandwidth, peak, interconnect, calibration }) => ({
    cells: [
      id,
      name,
      formatBytes(memory.value),
      tera(bandwidth.value),
      ...(["bf16", "fp8", "int8", "fp4"] as const).map((type) =>
        peak[type] === undefined ? "-" : tera(peak[type].value),
      ),
      interconnect === undefined ? "-" : String(interconnect.bandwidth.value / 1e9),
      calibration === undefined ? "not measured" : `measured ${calibration.date.slice(0, 10)}`,
    ],
  }));
  const units = "rates: dense TFLOP/s; link: one direction; layermix hardware show NAME names every source";
  return `${renderTable(table, rows, style)}\n${units}`;
}

/** Every number of a device with its basis and source, and how well its calibration predicts itself. */
export function hardwareText(hardware: Hardware, style: TextStyle): string {
  const row = (label: string, text: string, { basis, source }: Figure): string[] => [
    label,
    text,
    basis,
    source,
  ];
  const { memory, bandwidth, peak, interconnect, ceilings = {}, calibration } = hardware;
  const rows = [
    row("memory", formatBytes(memory.value), memory),
    row("bandwidth", rate(bandwidth.value, "B/s"), bandwidth),
    ...peakTypes.flatMap((type) => {
      const figure = peak[type];
      return figure === undefined ? [] : [row(type, rate(figure.value, "FLOP/s"), figure)];
    }),
    ...(interconnect === undefined
      ? []
      : [
          row(
            `${interconnect.name}, up to ${interconnect.devices}`,
            rate(interconnect.bandwidth.value, "B/s"),
            interconnect.bandwidth,
          ),
        ]),
    ...Object.entries(ceilings).map(([name, figure]) =>
      row(`best ${name} seen`, rate(figure.value, name === "copy" ? "B/s" : "FLOP/s"), figure),
    ),
  ];
  const sections = [
    paint(hardware.name, "bold", style),
    columns(rows, ["left", "right", "left", "left"]),
    calibration === undefined
      ? "not calibrated: utilisation is carried over or assumed; layermix calibrate measures it"
      : calibrationText(hardware),
  ];
  return sections.join("\n\n");
}

function calibrationText(hardware: Hardware): string {
  const { device, date, build, threads, points, complete } = hardware.calibration!;
  const rows = calibrationErrors(hardware).map(({ curve, points: count, error }) => [
    curve,
    String(count),
    `±${(100 * error).toFixed(1)}%`,
  ]);
  return [
    `calibrated on ${device}, ${date}${complete ? "" : " (interrupted)"}: ${points.length} shapes`,
    ...(build === undefined ? [] : [build]),
    ...(threads === undefined ? [] : [counted(threads, "thread")]),
    "",
    columns([["operation", "shapes", "left-out shapes within"], ...rows], ["left", "right", "right"]),
  ].join("\n");
}
