#!/usr/bin/env python3
"""Writes sidecar/src/model/testdata/llama_vector.json: log-probabilities of llama.cpp at the texts of gemma_vector.json.

For each of its texts and each position but the last, those of the five tokens that transformers finds most probable in f32
(`top_ids` there), from a prefill by pieces of 256 tokens, with the GGUF files of convert_gguf.py: bf16, f32 and bf16_f32head.

    llama_cpp_vector.py [MODEL.gguf]    (default: $ASSAY_MODEL; scripts/engines/requirements.txt says what it needs)
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import llama_cpp
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engines"))
import answer_llama_cpp  # noqa: E402
import answers  # noqa: E402
import convert_gguf  # noqa: E402
import run  # noqa: E402

DATA = Path(__file__).resolve().parents[2] / "sidecar/src/model/testdata"
KINDS = ("bf16", "f32", "bf16_f32head")
PIECE = 256


def log_probs(engine, text):
    """[positions, 5] nats."""
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(engine.context), True)
    rows = []
    for at in range(0, len(text["top_ids"]), PIECE):
        ids = text["ids"][at : min(at + PIECE, len(text["top_ids"]))]
        for place in engine.decode([(token, at + i, 0, True) for i, token in enumerate(ids)]):
            pointer = llama_cpp.llama_get_logits_ith(engine.context, place)
            logits = np.ctypeslib.as_array(pointer, (engine.vocabulary,)).astype(np.float64)
            top = logits[text["top_ids"][at + place]]
            rows.append([round(float(own), 4) for own in top - logits.max() - np.log(np.exp(logits - logits.max()).sum())])
    return rows


def main():
    model = Path(sys.argv[1]) if len(sys.argv) > 1 else run.MODEL
    theirs = json.loads((DATA / "gemma_vector.json").read_text())
    digest = answers.sha256_of(model)
    if theirs["weights_sha256"] != digest:
        sys.exit(f"gemma_vector.json is for the weights {theirs['weights_sha256']}, {model} is {digest}")
    options = {"context": 1024, "batch": 1, "threads": 1, "cache_type_k": "f16", "cache_type_v": "f16", "flash": "auto", "hidden": None}
    texts = [{"name": text["name"]} for text in theirs["texts"]]
    for kind in KINDS:
        engine = answer_llama_cpp.Engine(convert_gguf.path_of(kind, model), SimpleNamespace(**options))
        for text, their in zip(texts, theirs["texts"]):
            text[f"{kind}_top_log_probs"] = log_probs(engine, their)
            gap = np.abs(np.array(text[f"{kind}_top_log_probs"]) - np.array(their["top_log_probs"]))
            print(f"{kind}, {text['name']}: mean {gap.mean():.4f}, largest {gap.max():.3f} nats from transformers in f32")
    content = {
        "reference": f"llama-cpp-python {llama_cpp.__version__}, {answer_llama_cpp.device()}, KV f16, prefill",
        "weights_sha256": digest,
        "texts": texts,
    }
    path = DATA / "llama_vector.json"
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
