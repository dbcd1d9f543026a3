// Codes 5xxx: files from and for other systems. 500x safetensors, 510x Hugging Face checkpoints.

import type { CodeTable } from "../code_table.js";

export const interopCodes: CodeTable = {
  LMX5001: {
    title: "Not a safetensors file",
    explanation: `A safetensors file begins with 8 bytes that say how long its header is, at most 100 MB, and
the header begins with a brace. This file does not: it is cut off, damaged, or of another format (.bin, .pt
and .ckpt files are never read: they can run code).`,
    help: "Download or write the file again; convert other formats to safetensors.",
  },
  LMX5002: {
    title: "Damaged safetensors header",
    explanation: `The header is not valid JSON in UTF-8, or a name occurs twice in it, so that two readers
could see two different files. The message says at which byte.`,
    help: "Download or write the file again.",
  },
  LMX5003: {
    title: "Bad entry in a safetensors header",
    explanation: `Each tensor has a dtype, a shape of non-negative integers and data_offsets [begin, end];
__metadata__ holds strings. layermix reads the dtypes F64, F32, BF16, F16, I64, I32, U8 and BOOL.`,
  },
  LMX5004: {
    title: "Safetensors data do not fit the header",
    explanation: `The bytes of a tensor must lie inside the file and be as many as its dtype and shape say, and
the tensors must cover the data without a hole or an overlap. A file that breaks this is cut off or damaged.`,
    help: "Download or write the file again.",
  },
  LMX5005: {
    title: "File cannot be read or written",
    explanation: "The operating system refused: the message says which file and why.",
  },
  LMX5006: {
    title: "Tensor missing or of another type",
    explanation: `A tensor that is needed is not in the file, or its dtype cannot be used for its purpose:
weights, logits and gradients are floating point, token ids are integers.`,
  },
  LMX5007: {
    title: "Tensor to write does not fit its shape",
    explanation:
      "The bytes given for a tensor are not as many as its dtype and shape say, or two tensors have one name.",
  },
  LMX5101: {
    title: "Bad checkpoint configuration",
    explanation: `config.json, or model.safetensors.index.json, has a field that is missing or not of the kind
expected. Defaults are those of transformers 5.18.`,
  },
  LMX5102: {
    title: "Checkpoint not supported",
    explanation: `import hf reads the families that its help lists. verify is stricter: layermix runs two classes of Hugging Face models exactly: nemotron_h with Mamba-2 (M),
attention (*) and MLP (-) layers, and mamba2 with one group (its gated norm ignores groups, so more than one
would be another function). Whatever else changes the function - biases, other activations, sliding windows,
mixtures of experts - is refused by name rather than computed wrongly.`,
  },
  LMX5103: {
    title: "Checkpoint weights do not fit the model",
    explanation: `Every parameter of the model that config.json describes must be in the weight files, in its
shape, and nothing else may be. (transformers itself re-initialises missing weights and ignores extra ones
with a warning.) Both prefixes, backbone. and model., are read.`,
  },
  LMX5104: {
    title: "Reference does not fit the model",
    explanation: `A reference file holds input_ids (batch, sequence) and logits (batch, sequence, vocab), and
may hold loss (one number), hidden_states.0 to hidden_states.L (batch, sequence, hidden) and grad.NAME for
parameters, all recorded from the model being verified.`,
  },
  LMX5105: {
    title: "Configuration whose sizes cannot be built",
    explanation: `The configuration was read, but its sizes do not fit each other: key heads that do not divide the heads,
groups that do not divide the heads, a width that is not a whole number of heads.`,
    help: "Compare the configuration with the one it was copied from.",
  },
  LMX5106: {
    title: "Not carried into the study",
    explanation: `The configuration says something about the model that a study file has no place for: a multiplier, another
order of norms, scaled RoPE. Layers, parameters, FLOPs, caches and state are those of the model; what it computes
is not.`,
  },
  LMX5201: {
    title: "Model that NemotronH cannot express",
    explanation: `export hf writes the class NemotronHForCausalLM, whose layers are Mamba-2 (M), attention without
position embeddings (*) and plain MLPs (-) in any order, all layers of a kind in one shape. RoPE, gated MLPs and
other kinds of layers would load as another function, so they are refused; the message names the class that could
hold the model, where there is one.`,
    help: "Change the option that the message names, for example --set model.blocks.attention.position=none.",
  },
  LMX5202: {
    title: "No checkpoint to export",
    explanation: `export takes the folder of a run (layermix train keeps its checkpoint), the folder of one trial
below trials/, or checkpoint.safetensors in it; trial.json beside it says what model it is. A study file instead of
a folder gives freshly initialised weights.`,
  },
  LMX5203: {
    title: "Export would overwrite a checkpoint",
    explanation:
      "The folder has config.json or model.safetensors already, and export refuses to replace them without --force.",
    help: "Choose another folder with -o, or add --force.",
  },
  LMX5204: {
    title: "Model too large to initialise here",
    explanation: `Fresh weights are made by the native trainer, which holds gradients and optimizer state beside them
(16 bytes per parameter). The machine has less memory than that.`,
    help: "Make the model smaller, or export a trained checkpoint, which is copied tensor by tensor.",
  },
  LMX5205: {
    title: "Export differs on the disk",
    explanation:
      "After writing, every tensor is read back and compared. One of them came back with other bits.",
  },
  LMX5211: {
    title: "Model that Megatron's arguments cannot express",
    explanation: `export megatron prints arguments of Megatron-LM's pretrain_hybrid.py. Some things have no argument
there: another convolution than 4 taps, a gated MLP other than SwiGLU, an ungated SiLU, a clamped dt; and
tensor-parallel ranks have to divide heads, groups and MLP channels.`,
  },
};
