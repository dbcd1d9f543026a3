// A recorded run to compare with: input_ids (batch, sequence) and what a reference system made of them -
// logits, and optionally loss, hidden_states.N and grad.NAME for parameters.

import { hubName } from "./huggingface_checkpoint.js";
import { invalidFile } from "./interop_error.js";
import { openSafetensors, type SafetensorsFile } from "./safetensors.js";
import { toFloat64, toInt32 } from "./tensor_data.js";

export interface Reference {
  readonly file: string;
  readonly batch: number;
  readonly sequence: number;
  readonly inputIds: Int32Array<ArrayBuffer>;
  /** (batch, sequence, vocab). */
  readonly logits: Float64Array;
  readonly loss: number | undefined;
  /** Each (batch, sequence, hidden), in order. */
  readonly hidden: readonly Float64Array[];
  /** By hub name. */
  readonly gradients: ReadonlyMap<string, Float64Array>;
}

/** Sizes a reference must have to belong to a model. */
export interface ReferenceModel {
  readonly hidden: number;
  readonly vocab: number;
  readonly layers: number;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

/** Reads and checks a reference file. Throws LMX5001 to LMX5006, LMX5104 (does not belong to the model). */
export function readReference(path: string, model: ReferenceModel): Reference {
  const file = openSafetensors(path);
  try {
    return readTensors(file, model);
  } finally {
    file.close();
  }
}

function readTensors(file: SafetensorsFile, model: ReferenceModel): Reference {
  const ids = file.tensors.get("input_ids");
  if (ids?.shape.length !== 2) {
    throw invalidFile("LMX5104", `Expected input_ids of shape (batch, sequence) in ${file.path}`);
  }
  const [batch, sequence] = ids.shape as [number, number];
  const values = (name: string, shape: readonly number[]): Float64Array => {
    const entry = file.tensors.get(name);
    const got = entry ? `[${entry.shape.join(", ")}]` : "no such tensor";
    if (!entry || got !== `[${shape.join(", ")}]`) {
      throw invalidFile(
        "LMX5104",
        `Expected ${name} of shape [${shape.join(", ")}] in ${file.path}, got ${got}`,
      );
    }
    return toFloat64(name, entry.dtype, file.read(name));
  };
  const hidden: Float64Array[] = [];
  while (file.tensors.has(`hidden_states.${hidden.length}`)) {
    hidden.push(values(`hidden_states.${hidden.length}`, [batch, sequence, model.hidden]));
  }
  if (hidden.length !== 0 && hidden.length !== model.layers + 1) {
    const message = `Expected ${model.layers + 1} hidden_states in ${file.path}, got ${hidden.length}`;
    throw invalidFile("LMX5104", message);
  }
  const gradients = new Map<string, Float64Array>();
  for (const name of [...file.tensors.keys()].filter((key) => key.startsWith("grad.")).sort()) {
    const parameter = hubName(name.slice("grad.".length));
    const shape = model.shapes.get(parameter);
    if (!shape)
      throw invalidFile("LMX5104", `Expected a parameter of the model behind ${name} in ${file.path}`);
    gradients.set(parameter, values(name, shape));
  }
  const loss = file.tensors.get("loss");
  return {
    file: file.path,
    batch,
    sequence,
    inputIds: toInt32("input_ids", ids.dtype, file.read("input_ids")),
    logits: values("logits", [batch, sequence, model.vocab]),
    loss: loss && values("loss", loss.shape.length === 0 ? [] : [1])[0],
    hidden,
    gradients,
  };
}
