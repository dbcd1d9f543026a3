"""Does transformers compute what layermix exported?

    node --import tsx bench/export.ts exports          # ten random hybrids, recorded by the native library
    python3 bench/check_export.py exports/*            # needs torch and transformers 5

For every folder: NemotronH must load without a missing, unexpected or mismatched key, every parameter must have the
bits of the file (a re-initialised one would not), logits must agree with the recorded ones within 2e-4 in fp32, and
greedy decoding, with the cache as config.json sets it and without, must give the recorded tokens.
"""

import argparse
import sys

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

LOGIT_TOLERANCE = 2e-4


def check(folder: str) -> tuple[list[str], float, int]:
    """Problems of one export, its largest logit difference, and the greedy tokens compared."""
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    model.eval()
    problems = [f"{kind}: {sorted(keys)}" for kind, keys in info.items() if keys]
    if type(model).__name__ != "NemotronHForCausalLM":
        problems.append(f"loaded as {type(model).__name__}")

    stored = load_file(f"{folder}/model.safetensors")
    loaded = {name.replace("model.", "backbone.", 1): value for name, value in model.state_dict().items()}
    if loaded.keys() != stored.keys():
        problems.append(f"parameters differ in name: {sorted(loaded.keys() ^ stored.keys())}")
    for name in loaded.keys() & stored.keys():
        if not torch.equal(loaded[name], stored[name]):
            problems.append(f"{name} does not have the bits of the file")

    run = load_file(f"{folder}/io.safetensors")
    with torch.no_grad():
        logits = model(run["input_ids"], use_cache=False).logits
    worst = (logits - run["logits"]).abs().max().item()
    if not worst <= LOGIT_TOLERANCE:
        problems.append(f"logits differ by {worst:.2e}")
    prompt = run["greedy_prompt"]
    expected = run["greedy_tokens"][:, prompt.shape[1] :]
    for cache in {False, model.config.use_cache}:
        out = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=expected.shape[1],
            do_sample=False,
            use_cache=cache,
        )
        if not torch.equal(out[:, prompt.shape[1] :], expected):
            problems.append(f"greedy tokens differ with use_cache={cache}")
    return problems, worst, expected.shape[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders that `layermix export hf --record N` wrote")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    print(f"{'pattern':<24} {'logits':>9}  greedy  result")
    failed = 0
    for folder in arguments.folders:
        pattern = transformers.AutoConfig.from_pretrained(folder).to_dict()
        kinds = pattern.get("layers_block_type") or []
        symbols = {"mamba": "M", "linear_attention": "M", "attention": "*", "full_attention": "*", "mlp": "-"}
        name = pattern.get("hybrid_override_pattern") or "".join(symbols.get(kind, "?") for kind in kinds)
        problems, worst, tokens = check(folder)
        failed += bool(problems)
        print(f"{name:<24} {worst:9.2e}  {tokens:6d}  {'ok' if not problems else '; '.join(problems)}")
    print(f"{len(arguments.folders) - failed} of {len(arguments.folders)} exports are equal")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
