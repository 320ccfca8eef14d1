#!/usr/bin/env python3
"""TOPLOC's own code (PyPI `toploc`) on hidden states of docs/traces.md: what it says of every block, and what its proofs weigh.

    toploc_on_traces.py --executor DIR --verifier DIR --out FILE.json [--block 32] [--top 128]

Proofs are built from the executor's states by `build_proofs_bytes` and checked against the verifier's by `verify_proofs_bytes`, both in bf16, the one
float format that its proofs hold. The prompt's own block is skipped: the traces hold states of generated tokens. The package has no thresholds;
those below are its repository's example for bf16, blocks of 32 and 128 values (vllm_validate_poly.py: at least 90 equal exponents). The raw
statistics are written so that others can be set. requirements.txt says what it needs.
"""

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from toploc import build_proofs_bytes, verify_proofs_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engines"))
import hidden  # noqa: E402

MOST_EXPONENT_MISMATCHES, MOST_MEAN, MOST_MEDIAN = 38, 10, 8


def blocks_of(executor, verifier, block, top):
    """One entry a block, and the bytes of the proofs; both states [tokens, hidden] f32."""
    states = [torch.from_numpy(own.copy()).bfloat16() for own in executor]
    proofs = build_proofs_bytes(states, decode_batching_size=block, topk=top, skip_prefill=True)
    reference = torch.from_numpy(verifier.copy()).bfloat16()
    results = verify_proofs_bytes(reference, proofs, decode_batching_size=block, topk=top, skip_prefill=True)
    blocks = []
    for at, result in enumerate(results):
        mismatches, mean, median = result.exp_mismatches, result.mant_err_mean, result.mant_err_median
        accepted = mismatches <= MOST_EXPONENT_MISMATCHES and mean <= MOST_MEAN and median <= MOST_MEDIAN
        blocks.append({
            "tokens": min(block, len(executor) - at * block),
            "exp_mismatches": mismatches,
            "mant_err_mean": mean,
            "mant_err_median": median,
            "accepted": accepted,
        })
    return blocks, sum(map(len, proofs))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executor", type=Path, required=True)
    parser.add_argument("--verifier", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--block", type=int, default=32, help="tokens of a proof")
    parser.add_argument("--top", type=int, default=128, help="values of a proof")
    args = parser.parse_args()
    executor, verifier = hidden.read(args.executor, "executor"), hidden.read(args.verifier, "verifier")
    answers, size, tokens = [], 0, 0
    for answer, own, reference in hidden.pairs(executor, verifier):
        blocks, proof_bytes = blocks_of(own, reference, args.block, args.top)
        answers.append({"prompt": answer["prompt"], "blocks": blocks})
        size, tokens = size + proof_bytes, tokens + len(own)
    if not answers:
        sys.exit("the two have no answer in common")
    every = [block for answer in answers for block in answer["blocks"]]
    result = {
        "peer": f"toploc {version('toploc')}",
        "cell": executor.index["cell"],
        "block": args.block,
        "top": args.top,
        "thresholds": {"exp_mismatches": MOST_EXPONENT_MISMATCHES, "mant_err_mean": MOST_MEAN, "mant_err_median": MOST_MEDIAN},
        "bytes_per_token": size / tokens,
        "blocks": len(every),
        "rejected": sum(not block["accepted"] for block in every),
        "answers": answers,
    }
    args.out.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(json.dumps({name: value for name, value in result.items() if name != "answers"}))


if __name__ == "__main__":
    main()
