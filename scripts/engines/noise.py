#!/usr/bin/env python3
"""How far an engine's signed numbers lie from transformers in f32 on the same weights and tokens; also that every row replays.

    noise.py ANSWERS.jsonl … [--count N] [--states DIR]

For each answers file (docs/traces.md), over the first 20 entries of every row but the first (that comes from a prefill): mean of
|difference of log-probabilities| in nats, standard deviation, largest; and quantiles of the positions' root mean squares. Rounding
to 1/256 bit alone makes .0007 of the mean. `--states` keeps the reference's hidden states as verifier.f32 in DIR/NAME of the file, for the peers'
scripts where `assay-lab trace` is not at hand.
"""

import argparse
import contextlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch

import answers
import hidden
import run
import sampler
import transformers_model
from sampler import spec

NATS = math.log(2) / 256


def differences(model, answer, states):
    """[positions − 1, 20] nats: the row's log-probabilities less those of the reference's states."""
    with torch.inference_mode():
        log_probs = torch.log_softmax(model.lm_head(states).double(), dim=-1).numpy()
    made = []
    for own, row in zip(log_probs, answer["rows"]):
        ids, numbers = np.array(row["entries"][: sampler.LISTED]).T
        made.append(-numbers * NATS - own[ids])
    return np.array(made[1:])


def replays(answer, vocabulary):
    """Ends the program where a row does not replay: such an engine draws otherwise than it says."""
    seed = sampler.run_seed(answer["prompt"])
    pair = lambda entry: (entry[1], entry[0])
    for position, row in enumerate(answer["rows"]):
        leaf = spec.leaf_bytes(position, row["token"], pair(row["cut"]), list(map(pair, row["entries"])))
        outcome = spec.replay(leaf, position, vocabulary, sampler.OPEN, seed)
        if outcome != "matches" or row["token"] != answer["tokens"][position]:
            sys.exit(f"prompt {answer['prompt']}, position {position}: {outcome}")
    spec.BLOCKS.clear()


def summary(all_differences):
    stacked = np.concatenate(all_differences)
    rms = np.sqrt((stacked**2).mean(1))
    return {
        "positions": len(stacked),
        "mean_abs": round(float(np.abs(stacked).mean()), 5),
        "sd": round(float(stacked.std()), 5),
        "largest": round(float(np.abs(stacked).max()), 4),
        "rms_q10_q50_q99": [round(float(q), 5) for q in np.quantile(rms, [0.1, 0.5, 0.99])],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--count", type=int, help="only the answers to the first prompts")
    parser.add_argument("--states", type=Path, help="a new directory for the reference's hidden states")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", type=Path, default=run.MODEL)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = transformers_model.load(args.model)
    digest = answers.sha256_of(args.model)
    for path in args.files:
        header, found = answers.read(path)
        if header["model"] != digest:
            sys.exit(f"{path} is for the model {header['model']}, {args.model} is {digest}")
        chosen = [found[prompt] for prompt in sorted(found)[: args.count]]
        for answer in chosen:
            replays(answer, model.config.vocab_size)
        measured = []
        with contextlib.ExitStack() as stack:
            kept = args.states and stack.enter_context(hidden.HiddenStates(args.states / path.stem, header, run.HIDDEN, "verifier"))
            if kept and kept.index["answers"]:
                sys.exit(f"{args.states / path.stem} is there already")
            for answer in chosen:
                states = transformers_model.forced(model, answer["prompt_ids"], answer["tokens"])
                measured.append(differences(model, answer, states))
                if kept:
                    kept.add(answer, states.numpy())
        print(json.dumps({"file": path.name, "cell": header["cell"], "answers": len(chosen), **summary(measured)}), flush=True)


if __name__ == "__main__":
    main()
