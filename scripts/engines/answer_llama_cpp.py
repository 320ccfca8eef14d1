#!/usr/bin/env python3
"""Answers prompts with llama.cpp on a CPU, drawing with the integer sampler; writes the files of docs/traces.md.

    answer_llama_cpp.py bf16 --prompts ../../localnet/prompts.txt --out bf16-b8.jsonl --batch 8 [--hidden DIR] [--cache-type-k q8_0 …]

The first argument is a kind of file that convert_gguf.py writes, or q4_k_m for the model's own file. Started again, it goes on where it was
interrupted. Sequences of a batch are prefilled together and each has its own stream of the cache. Weights are not repacked
(`use_extra_bufts` is off): on a CPU with AMX, repacked quantised weights give other numbers.
"""

import argparse
import ctypes
import platform
import sys

import llama_cpp
import numpy as np

import convert_gguf
import run

CACHE_TYPES = {"f16": 1, "f32": 0, "bf16": 30, "q8_0": 8}  # ggml_type
FLASH = {"auto": -1, "off": 0, "on": 1}  # llama_flash_attn_type
LOG_ERROR = 4  # ggml_log_level
POOLING_NONE = 0


@llama_cpp.llama_log_callback
def errors_only(level, text, _):
    if level == LOG_ERROR:
        sys.stderr.write(text.decode(errors="replace"))


class Engine:
    """One model and one context for up to `args.batch` sequences."""

    def __init__(self, path, args):
        llama_cpp.llama_log_set(errors_only, ctypes.c_void_p())
        llama_cpp.llama_backend_init()
        model_params = llama_cpp.llama_model_default_params()
        model_params.use_extra_bufts, model_params.n_gpu_layers = False, 0
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_params)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = args.context * args.batch, args.batch, False
        params.n_batch = params.n_ubatch = args.context * args.batch
        params.n_threads = params.n_threads_batch = args.threads
        params.type_k, params.type_v = CACHE_TYPES[args.cache_type_k], CACHE_TYPES[args.cache_type_v]
        params.flash_attn_type, params.pooling_type = FLASH[args.flash], POOLING_NONE
        params.embeddings = args.hidden is not None
        self.context = self.model and llama_cpp.llama_init_from_model(self.model, params)
        if not self.context:
            sys.exit(f"llama.cpp cannot start with {path}")
        vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(vocabulary)
        self.batch = llama_cpp.llama_batch_init(params.n_batch, 0, 1)
        self.capacity, self.per_sequence = params.n_batch, args.context

    def decode(self, entries):
        """Runs the model over (token, position, sequence, whether it is asked for); returns the places asked for."""
        if len(entries) > self.capacity:
            sys.exit(f"{len(entries)} tokens at once, {self.capacity} fit: give more --context")
        for place, (token, position, sequence, wanted) in enumerate(entries):
            self.batch.token[place], self.batch.pos[place] = token, position
            self.batch.n_seq_id[place], self.batch.seq_id[place][0] = 1, sequence
            self.batch.logits[place] = wanted
        self.batch.n_tokens = len(entries)
        if (code := llama_cpp.llama_decode(self.context, self.batch)) != 0:
            sys.exit(f"llama_decode: {code}")
        return [place for place, entry in enumerate(entries) if entry[3]]


class Running:
    """A batch of answers: what run.run decodes with."""

    def __init__(self, engine, prompts):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(engine.context), True)
        self.engine, self.lengths = engine, [len(ids) for ids in prompts]
        self.places = engine.decode([
            (token, position, sequence, position == len(ids) - 1)
            for sequence, ids in enumerate(prompts)
            for position, token in enumerate(ids)
        ])

    def take(self, tokens):
        if max(self.lengths) >= self.engine.per_sequence:
            sys.exit(f"a sequence of {max(self.lengths)} tokens is full: give more --context")
        self.places = self.engine.decode([
            (token, length, sequence, True) for sequence, (token, length) in enumerate(zip(tokens, self.lengths))
        ])
        self.lengths = [length + 1 for length in self.lengths]

    def rows(self, get, width):
        pointers = [get(self.engine.context, place) for place in self.places]
        return np.stack([np.ctypeslib.as_array(pointer, (width,)) for pointer in pointers])

    def logits(self):
        return self.rows(llama_cpp.llama_get_logits_ith, self.engine.vocabulary)

    def states(self):
        return self.rows(llama_cpp.llama_get_embeddings_ith, run.HIDDEN)


def device():
    """The CPU's instructions that ggml was built for."""
    info = llama_cpp.llama_print_system_info().decode().replace("CPU :", "")
    features = [part.split("=")[0].strip().lower() for part in info.split("|") if part.strip().endswith("= 1")]
    wanted = [name for name in features if name.startswith(("avx", "amx", "fma", "f16c", "neon", "sve", "dotprod"))]
    return f"cpu {platform.machine()} {' '.join(wanted)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=[*convert_gguf.TYPES, "q4_k_m"])
    run.add_arguments(parser)
    parser.add_argument("--cache-type-k", choices=CACHE_TYPES, default="f16")
    parser.add_argument("--cache-type-v", choices=CACHE_TYPES, default="f16")
    parser.add_argument("--flash", choices=FLASH, default="auto", help="flash attention; a quantised cache of values needs it")
    parser.add_argument("--context", type=int, default=512, help="tokens of a sequence, prompt and answer")
    args = parser.parse_args()
    path = convert_gguf.path_of(args.kind, args.model)
    if not path.exists():
        sys.exit(f"no {path.name}: run convert_gguf.py {args.kind}")
    engine = Engine(path, args)
    cache = f"KV {args.cache_type_k}/{args.cache_type_v}, flash {args.flash}"
    name = f"llama.cpp (llama-cpp-python {llama_cpp.__version__}) {args.kind}, {cache}, {args.threads} thread{'s'[: args.threads > 1]}"
    run.run(args, name, device(), lambda prompts: Running(engine, prompts))


if __name__ == "__main__":
    main()
