#!/usr/bin/env python3
"""Token-DiFR's own code (PyPI `token-difr`) on traces (docs/traces.md): the margin of every token under the verifier's logits.

    token_difr_on_traces.py --verifier DIR --out FILE.json [--block 32]

Its `verify_outputs` runs vLLM with vLLM's noise on a GPU. Here its parts run on what it would have been given: logits are the verifier's states times
the model's head in f32, noise is that of the prompt's seed (docs/sampler.md) as the exponentials −ln U that it expects. Its
`_get_probs` and `_apply_top_k_top_p` filter (top-k 4,096, the sampler's candidates), its `_compute_margin_batch` makes the margins, its
`TokenMetrics` and `compute_metrics_summary` the summary. A token outside the filter has an infinite margin, null in the file, and is left out of the
means, as there. The package has no thresholds and sends no proof. requirements.txt says what it needs.
"""

import argparse
import json
import math
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from token_difr.common import TokenMetrics, _apply_top_k_top_p, _compute_margin_batch, _get_probs, compute_metrics_summary

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engines"))
import answers  # noqa: E402
import hidden  # noqa: E402
import run  # noqa: E402
import sampler  # noqa: E402
import weights  # noqa: E402

TEMPERATURE = 1.0
ROWS_AT_ONCE = 16  # 1 MiB of logits each


def exponentials(kept, seed, first_position):
    """[rows, vocabulary] f32: −ln U where `kept`, 1 elsewhere."""
    made = torch.ones(kept.shape)
    for place, own in enumerate(kept):
        ids = own.nonzero()[:, 0].numpy()
        bits = sampler.noise(sampler.words(seed, first_position + place, ids)) / float(1 << 24)  # −log2(−log2 U)
        made[place, ids] = torch.from_numpy(np.exp2(-bits) * math.log(2)).float()
    return made


def metrics_of(logits, tokens, seed, first_position):
    """[rows, vocabulary] f32 and the tokens drawn there → one TokenMetrics a row."""
    rows, gold = torch.arange(len(tokens)), torch.tensor(tokens)
    # It takes and may change a tensor of ks.
    ks = lambda: torch.full((len(tokens),), sampler.CANDIDATES)
    kept = torch.isfinite(_apply_top_k_top_p(logits.clone(), ks(), None))
    probs = _get_probs(logits.clone(), TEMPERATURE, ks(), None)
    noise = exponentials(kept, seed, first_position)
    margins = _compute_margin_batch(logits, noise, ~kept, TEMPERATURE, gold)
    scores = torch.where(kept, probs / noise, 0.0)
    return [
        TokenMetrics(
            exact_match=margins[row].item() == 0.0,
            prob=probs[row, token].item(),
            margin=margins[row].item(),
            logit_rank=float((logits[row] > logits[row, token]).sum()),
            gumbel_rank=float((scores[row] > scores[row, token]).sum()) if kept[row, token] else math.inf,
        )
        for row, token in zip(rows.tolist(), tokens)
    ]


def metrics_of_answer(answer, states, head):
    seed, made = sampler.run_seed(answer["prompt"]), []
    for at in range(0, len(states), ROWS_AT_ONCE):
        logits = torch.from_numpy(states[at : at + ROWS_AT_ONCE].copy()) @ head.T
        made += metrics_of(logits, answer["tokens"][at : at + ROWS_AT_ONCE], seed, at)
    return made


def block_means(margins, block):
    """Means of whole blocks, of the finite margins; null where there is none."""
    means = []
    for at in range(0, len(margins) - block + 1, block):
        finite = [margin for margin in margins[at : at + block] if math.isfinite(margin)]
        means.append(sum(finite) / len(finite) if finite else None)
    return means


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verifier", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--block", type=int, default=32, help="tokens whose mean margin is written")
    parser.add_argument("--model", type=Path, default=run.MODEL)
    args = parser.parse_args()
    verifier = hidden.read(args.verifier, "verifier")
    if verifier.index["model"] != answers.sha256_of(args.model):
        sys.exit(f"{args.verifier} is for the model {verifier.index['model']}")
    head = torch.from_numpy(weights.named(GGUFReader(args.model), "token_embd.weight"))
    found, every = [], []
    for answer, states in verifier.answers():
        metrics = metrics_of_answer(answer, states, head)
        margins = [metric.margin for metric in metrics]
        written = [round(margin, 6) if math.isfinite(margin) else None for margin in margins]
        found.append({"prompt": answer["prompt"], "margins": written, "blocks": block_means(margins, args.block)})
        every.append(metrics)
    result = {
        "peer": f"token-difr {version('token-difr')}",
        "cell": verifier.index["cell"],
        "block": args.block,
        "thresholds": None,
        "bytes_per_token": 0,
        "summary": compute_metrics_summary(every),
        "answers": found,
    }
    args.out.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(json.dumps({name: value for name, value in result.items() if name != "answers"}))


if __name__ == "__main__":
    main()
