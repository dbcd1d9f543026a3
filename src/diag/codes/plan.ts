// Codes 2xxx: shares, patterns, placements, sweeps and sizes that cannot be planned, and the notes a plan carries (21xx).

import type { CodeTable } from "../code_table.js";

const symbols =
  "M Mamba-2, * attention, - MLP, E mixture of experts, and further kinds that `layermix explain LMX1207` lists";

export const planCodes: CodeTable = {
  LMX2001: {
    title: "Unknown layer symbol",
    explanation: `A layer pattern holds one symbol per layer: ${symbols}. "|" cuts pipeline stages in the main
pattern, "/" starts a multi-token-prediction suffix. Symbols are case sensitive and there is no
white space:

    M-M-M--M-M*-M-M-M-M--M*-`,
    help: "Correct the symbol at the column that the message names.",
  },
  LMX2002: {
    title: "Suffixes of a pattern differ",
    explanation: `What follows each "/" is one multi-token-prediction head, and all heads are alike:

    M*M*/MM/MM`,
    help: "Write the same suffix after every slash.",
  },
  LMX2003: {
    title: "Two kinds of attention in one pattern",
    explanation: `Full attention "*" cannot stand beside latent "+" or sparse "D" attention in one part of a pattern:
they need different caches.`,
    help: "Use one kind throughout.",
  },
  LMX2004: {
    title: "Layer kind not supported yet",
    explanation: `The symbol is a known kind of layer (D: DeepSeek sparse attention), but this version cannot plan it.`,
    help: "Replace the layer by one of the kinds that the message names.",
  },
  LMX2005: {
    title: "Multi-token prediction not supported yet",
    explanation: `The pattern has a "/" suffix, which adds multi-token-prediction heads. This version plans the main
pattern alone.`,
    help: "Remove the suffix.",
  },
  LMX2006: {
    title: "Pattern without layers",
    explanation: "A model needs at least one layer; the pattern has none.",
  },
  LMX2007: {
    title: "Layer count or ratio out of range",
    explanation: `A pattern is derived from a whole number of layers above 0 and from ratios between 0 and 1 that
total at most 1.`,
    help: "Give shares as fractions or percentages, and leave the rest to Mamba-2.",
  },
  LMX2008: {
    title: "Share of an unknown kind",
    explanation:
      "A mix distributes layers over layer kinds: the built-in ones, and those that model.blocks names.",
    help: "Correct the name, or declare the kind in model.blocks with kind and symbol.",
  },
  LMX2010: {
    title: "Shares that the placement cannot honour",
    explanation: `Each placement puts layers in places of its own: alternate needs as many attention as Mamba-2
layers, every: N gives floor(layers / N) attention layers, at: [...] as many as it lists. The mix
has to ask for that many.`,
    help: "Change the share or the placement as the message says; placement even takes any share.",
  },
  LMX2011: {
    title: "Layer options that do not fit the width",
    explanation: `Heads, head dimensions, groups and widths have to divide one another: a Mamba-2 layer has expand *
hidden = heads * head_dim channels, its groups divide its heads, and kv_heads divides heads.`,
    help: "Use the value that the message suggests.",
  },
  LMX2012: {
    title: "Shares do not total 100%",
    explanation: `The shares of a mix are parts of one whole. In a sweep, sweep.fill names the kind that takes what
the axes leave:

    sweep:
      over: { mix.attention: [0%, 8%] }
      fill: mamba2`,
    help: "Change the shares, or set sweep.fill.",
  },
  LMX2013: {
    title: "Value that cannot be set",
    explanation: `An axis of a sweep, or an override in proxy.model, sets a place of the model: layers, hidden, vocab,
tie_embeddings, pattern, placement, norm.kind, norm.eps, mix.KIND or blocks.KIND.OPTION. The place does not
exist, or it does not take this value.`,
    help: "Check the path and the value that the message names.",
  },
  LMX2014: {
    title: "No candidate left",
    explanation: `Every point of the sweep was dropped: not buildable, a duplicate, or outside sweep.where. The
reasons follow.`,
    help: "Widen the axes or relax sweep.where.",
  },
  LMX2015: {
    title: "Pattern that cannot be taken to another depth",
    explanation: `proxy.model.layers changes the depth of a model whose layers are given as a pattern. That works
where every kind keeps its share in whole layers; the pattern is then placed anew, evenly.`,
    help: "Choose one of the depths that the message names, or give proxy.model.pattern.",
  },
  LMX2016: {
    title: "Unknown metric",
    explanation: `sweep.where constrains params, active_params, flops (training FLOPs of one batch), flops_per_token,
megatron_flops, training_memory, kv_bytes_per_token, state_bytes, layers or hidden.`,
    help: "Use one of these names.",
  },
  LMX2017: {
    title: "Model that can be planned but not run",
    explanation: `Parameters, FLOPs, memory and inference speed are known for every layer kind. Short runs (sweep, train,
bench, export) need the native library, which runs mamba2, attention and mlp layers as the schema's
defaults describe them: no sliding windows, gates on attention, further biases or multipliers.`,
    help: "Use plan and project, or give proxy.model a mix of these kinds.",
  },
  LMX2018: {
    title: "Megatron does not count these FLOPs",
    explanation: `megatron_flops is the number that Megatron-LM reports, and Megatron-LM has no such layer. Its kinds are
mamba2, attention, mlp, moe, gated_deltanet and mla (which it counts as nothing).`,
    help: "Constrain flops instead.",
  },
  LMX2101: {
    title: "Shares became whole layers",
    explanation:
      "A share of the depth is rarely a whole number of layers; the plan says what each share became.",
  },
  LMX2102: {
    title: "One layer fewer than asked",
    explanation: `Where attention and MLP both round a half up, they ask for more layers than there are. Megatron's
algorithm then leaves a layer out without a word (84 of the 659,328 whole-percent mixes up to 128
layers); layermix gives the same pattern, and says so.`,
    help: "Choose a depth at which the shares are whole layers.",
  },
  LMX2103: {
    title: "A default was adapted",
    explanation: `An option that was not given has a usual default that does not fit this model, and got the nearest
one that does.`,
  },
  LMX2104: {
    title: "Resized to match",
    explanation: `sweep.match makes candidates equal in parameters or FLOPs, so that the mix alone differs: first the
hidden width is changed, in the largest steps that meet the tolerance, then the MLP width.`,
  },
  LMX2105: {
    title: "Match out of reach",
    explanation: `No hidden width, and no MLP width, brings the candidate within the tolerance of sweep.match. The
nearest was taken.`,
    help: "Raise the tolerance, or give narrower heads so that widths can change in smaller steps.",
  },
  LMX2106: {
    title: "Pipeline cuts left out",
    explanation: `The "|" of a pattern divides layers among pipeline stages. It changes no layer, and this plan leaves
it out.`,
  },
  LMX2107: {
    title: "Share without a layer",
    explanation: "The share is less than half a layer at this depth, so the kind does not appear at all.",
    help: "Raise the share or the number of layers.",
  },
  LMX2108: {
    title: "Pattern placed anew for the proxy",
    explanation: `The proxy has another depth than the pattern given; its layers keep the shares and are spread
evenly.`,
  },
};
