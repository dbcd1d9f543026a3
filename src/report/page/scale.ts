// From values to pixels, and the round numbers to label.

export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
  readonly format: (value: number) => string;
  /** Position of a value, in pixels, one decimal. */
  readonly at: (value: number) => number;
}

/** 1, 2 or 5 times a power of ten, about `count` of them over the range. */
export function roundTicks(low: number, high: number, count: number): readonly number[] {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999)!;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

export interface ScaleOptions {
  readonly from: number;
  readonly to: number;
  readonly ticks: number;
  readonly format: (value: number) => string;
  /** Ticks are round multiples of this. */
  readonly unit?: number;
  /** Room beyond the outermost values, as a share of the range. */
  readonly margin?: number;
  /** What the scale must not go beyond even with its margin. */
  readonly bounds?: readonly [number, number];
}

/** A linear scale over the values (those that are not finite do not count). */
export function linearScale(values: readonly number[], options: ScaleOptions): Scale {
  const finite = values.filter(Number.isFinite);
  let low = finite.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  let high = finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (finite.length === 0) [low, high] = [0, 1];
  if (low === high) {
    const around = Math.abs(low) * 0.05 || 1;
    [low, high] = [low - around, high + around];
  }
  const room = (high - low) * (options.margin ?? 0.06);
  const [floor, ceiling] = options.bounds ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  low = Math.max(floor, low - room);
  high = Math.min(ceiling, high + room);
  const { from, to, format } = options;
  const at = (value: number) => round(from + ((value - low) / (high - low)) * (to - from));
  const unit = options.unit ?? 1;
  const ticks = roundTicks(low / unit, high / unit, options.ticks).map((tick) => tick * unit);
  return { low, high, ticks, format, at };
}

/** Pixels with one decimal: files stay small, and equal input gives equal bytes. */
export function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}
