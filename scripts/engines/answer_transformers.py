#!/usr/bin/env python3
"""Answers prompts with HuggingFace transformers on a CPU, drawing with the integer sampler; writes the files of docs/traces.md.

    answer_transformers.py bf16 --attention eager --prompts ../../localnet/prompts.txt --out bf16-eager.jsonl [--batch 8] [--hidden DIR]

The first argument is how numbers are rounded (transformers_model.py). Started again, it goes on where it was interrupted.
"""

import argparse
import platform

import torch
import transformers

import run
import transformers_model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numerics", choices=transformers_model.NUMERICS)
    run.add_arguments(parser)
    parser.add_argument("--attention", choices=("sdpa", "eager"), default="sdpa", help="bf16_f32 has its own, explicit")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = transformers_model.load(args.model, args.numerics, args.attention)
    attention = "explicit" if args.numerics == "bf16_f32" else args.attention
    plural = "s"[: args.threads > 1]
    name = f"transformers {transformers.__version__}, torch {torch.__version__}, {args.numerics}, {attention}, {args.threads} thread{plural}"
    device = f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability().lower()}"
    run.run(args, name, device, lambda prompts: transformers_model.Running(model, prompts))


if __name__ == "__main__":
    main()
