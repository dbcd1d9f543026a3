// The points of a sweep: the cartesian product of its axes, the last axis fastest, each with its values, its
// name and the model it stands for. `fill` gives one kind what the shares of the others leave of 100%.

import type { ModelSpec, Spec, SweepAxis, SweepSpec } from "../spec/spec.js";
import { setModelValue } from "./model_values.js";
import { percent } from "./words.js";

export interface SweepPoint {
  readonly name: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Every point, in order; the single nameless point {} for a sweep without axes. */
export function sweepPoints(axes: readonly SweepAxis[]): SweepPoint[] {
  let combinations: Record<string, unknown>[] = [{}];
  for (const { path, values } of axes) {
    combinations = combinations.flatMap((point) => values.map((value) => ({ ...point, [path]: value })));
  }
  return combinations.map((values) => ({ name: pointName(axes, values), values }));
}

/**
 * "attention=8%" or "attention=8%,state=64"; axes with one value are left out where others tell points apart.
 */
export function pointName(axes: readonly SweepAxis[], values: Readonly<Record<string, unknown>>): string {
  const varying = axes.filter((axis) => axis.range !== undefined || axis.values.length > 1);
  const named = varying.length > 0 ? varying : axes;
  return named.map((axis) => `${axisName(axis.path)}=${valueName(axis, values[axis.path])}`).join(",");
}

function axisName(path: string): string {
  return path.replace(/^(mix|blocks)\./, "");
}

const longestValueName = 24;

function valueName({ path, values }: SweepAxis, value: unknown): string {
  if (path.startsWith("mix.") && typeof value === "number") return percent(value);
  if (typeof value !== "object" || value === null) {
    const text = String(value);
    return text.length <= longestValueName ? text : `#${values.indexOf(value) + 1}`;
  }
  const text = Object.entries(value)
    .filter(([key]) => key !== "kind" || Object.keys(value).length === 1)
    .map(([key, part]) => (key === "kind" ? String(part) : `${key}:${String(part).replaceAll(",", "+")}`))
    .join("+");
  return text.length <= longestValueName ? text : `#${values.indexOf(value) + 1}`;
}

/**
 * The model a point stands for: `model` with the point's values set, and `fill` given what is left.
 * @throws LayermixError LMX2013 for a value that cannot be set
 */
export function pointModel(model: ModelSpec, sweep: SweepSpec, values: SweepPoint["values"]): ModelSpec {
  let changed = model;
  for (const [path, value] of Object.entries(values)) changed = setModelValue(changed, path, value);
  return fillShare(changed, sweep.fill);
}

/**
 * The model as declared, without the axes: what a sweep is matched to. Shares that leave room, because an
 * axis has the others, are made up by `fill`.
 */
export function declaredModel({ model, sweep }: Spec): ModelSpec {
  if (model.layout.kind !== "mix" || sweep === undefined) return model;
  const total = Object.values(model.layout.mix).reduce((sum, share) => sum + share, 0);
  return Math.abs(total - 1) < 1e-6 ? model : fillShare(model, sweep.fill);
}

function fillShare(model: ModelSpec, fill: string | undefined): ModelSpec {
  if (fill === undefined || model.layout.kind !== "mix") return model;
  const { [fill]: _old, ...others } = model.layout.mix;
  const taken = Object.values(others).reduce((sum, share) => sum + share, 0);
  // 1 - 0.43 - 0.5 is 0.07000000000000006 in doubles: twelve digits are what a share can mean.
  const left = Math.round((1 - taken) * 1e12) / 1e12;
  return { ...model, layout: { ...model.layout, mix: { ...others, [fill]: left } } };
}
