// The text of a hardware file -> Hardware, with every problem at its place, as for study files: the same guard, YAML
// and schema messages. The meaning that the schema cannot say - operations that have a cost - is checked here.

import { type Operation, operationCost } from "../block/operations.js";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { orderDiagnostics } from "../diag/order.js";
import { Checker } from "../spec/checker.js";
import { SpecDocument } from "../spec/document.js";
import { checkText, decodeSource } from "../spec/guard.js";
import { parseAmount } from "../spec/quantity.js";
import { schemaProblems, toDiagnostic } from "../spec/schema_problems.js";
import { hardwareSchemaErrors } from "../spec/validators.js";
import { parseYaml } from "../spec/yaml_tree.js";
import type { Calibration, Figure, Hardware, Interconnect, PeakType } from "./hardware.js";

type Raw = Readonly<Record<string, unknown>>;

/**
 * Reads a hardware file; `file` is its name in messages, `id` how it was asked for.
 * @throws LayermixError LMX1xxx, exit 3
 */
export function parseHardware(source: string | Uint8Array, file: string, id: string): Hardware {
  const guarded = typeof source === "string" ? checkText(file, source) : decodeSource(file, source);
  if ("problem" in guarded) throw new LayermixError(guarded.problem, exitCodes.invalidFile);
  const tree = parseYaml(guarded.source);
  if (tree.problems.length > 0) throw new LayermixError(tree.problems, exitCodes.invalidFile);
  const document = new SpecDocument(file, tree.value, tree.places);
  const problems = schemaProblems(hardwareSchemaErrors(document.value)).map((problem) =>
    toDiagnostic(problem, (path, what) => document.locate(path, what)),
  );
  if (problems.length > 0) throw new LayermixError(orderDiagnostics(problems), exitCodes.invalidFile);
  const checker = new Checker(document, []);
  checkPoints(checker);
  if (checker.diagnostics.length > 0) throw new LayermixError(checker.diagnostics, exitCodes.invalidFile);
  return resolve(document.value as Raw, id);
}

/** Every point is an operation whose cost is known, in finite numbers. */
function checkPoints(checker: Checker): void {
  const points = checker.document.at(["calibration", "points"]);
  if (!Array.isArray(points)) return;
  points.forEach((point: { readonly operation: Operation }, index) => {
    const problem = operationProblem(point.operation);
    if (problem === undefined) return;
    const path = ["calibration", "points", index, "operation"];
    checker.error(path, "LMX1503", `Expected an operation that can be measured, got ${problem}`);
  });
}

function operationProblem(operation: Operation): string | undefined {
  let numbers: number[];
  try {
    const { flops, traffic } = operationCost(operation);
    numbers = [flops, ...Object.values(traffic)];
  } catch {
    return `the kind ${JSON.stringify(operation.kind)}`;
  }
  const sound = numbers.every((number) => Number.isFinite(number) && number >= 0);
  return sound && numbers.some((number) => number > 0)
    ? undefined
    : `${operation.kind} with a size missing, or one that is not above 0`;
}

function figure(raw: unknown): Figure {
  const { value, basis, source } = raw as Raw;
  return { value: parseAmount(value), basis: basis as Figure["basis"], source: source as string };
}

function figures<K extends string>(raw: unknown): Partial<Record<K, Figure>> {
  return Object.fromEntries(
    Object.entries(raw as Raw).map(([key, entry]) => [key, figure(entry)]),
  ) as Partial<Record<K, Figure>>;
}

function interconnect(raw: unknown): Interconnect {
  const { name, devices, bandwidth } = raw as Raw;
  return { name: name as string, devices: devices as number, bandwidth: figure(bandwidth) };
}

function resolve(root: Raw, id: string): Hardware {
  return {
    id,
    name: root.name as string,
    matches: (root.matches ?? []) as readonly string[],
    arithmetic: root.arithmetic as Hardware["arithmetic"],
    memory: figure(root.memory),
    bandwidth: figure(root.bandwidth),
    peak: figures<PeakType>(root.peak),
    ...(root.interconnect === undefined ? {} : { interconnect: interconnect(root.interconnect) }),
    ...(root.ceilings === undefined ? {} : { ceilings: figures<"copy" | "fp32" | "bf16">(root.ceilings) }),
    ...(root.calibration === undefined ? {} : { calibration: root.calibration as Calibration }),
  };
}
