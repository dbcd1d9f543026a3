// Layer kinds of published hybrids that layermix knows by name but does not build yet: refused by name instead of as
// misspellings.

export const plannedKinds: Readonly<Record<string, string>> = {
  mamba: "Mamba-1",
  mamba1: "Mamba-1",
  moe: "mixture of experts",
  gated_deltanet: "Gated DeltaNet",
  gdn: "Gated DeltaNet",
  sliding_attention: "sliding-window attention",
  cross_attention: "cross attention",
  mla: "multi-head latent attention",
};
