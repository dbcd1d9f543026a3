// Paths into a study file. As JSON pointers ("/model/mix/mamba2", RFC 6901) they are keys of maps and what the schema
// validators speak; with dots ("model.mix.mamba2") they are what messages and --set speak.

export type Path = readonly (string | number)[];

export function toPointer(path: Path): string {
  return path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

export function fromPointer(pointer: string): string[] {
  if (pointer === "") return [];
  return pointer
    .slice(1)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** "proxy.tasks[0].weight" and "proxy.tasks.0.weight" -> ["proxy", "tasks", "0", "weight"]. */
export function fromDots(text: string): string[] {
  return text === "" ? [] : text.replace(/\[(\d+)\]/g, ".$1").split(".");
}

/** "model.mix.mamba2", "proxy.tasks[0].weight"; the root is "the file". */
export function showPath(path: Path): string {
  if (path.length === 0) return "the file";
  const steps = path.map((step, i) => (/^\d+$/.test(String(step)) && i > 0 ? `[${step}]` : `.${step}`));
  return steps.join("").slice(1);
}
