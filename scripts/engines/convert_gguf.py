#!/usr/bin/env python3
"""Writes the model's weights as GGUF files that llama.cpp loads, into the cache.

    convert_gguf.py bf16 f16 f32 q8_0 bf16_f32head

bf16, f16, f32: the very weights (docs/schemes.md): every matrix is the quantised file's, dequantised and rounded once to bf16. f16 cannot hold
bf16 numbers below 2^-24 and keeps fewer bits of those below 2^-14: how many change is printed. q8_0 is made of the same weights, and is another
model. bf16_f32head has bf16 matrices but the head a second time in f32, so that llama.cpp does not round its input. Norm weights are f32 in all.
Metadata and vocabulary are copied. requirements.txt beside this file says what it needs.
"""

import argparse
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType

import answers
import run
import weights

TYPES = {
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "bf16_f32head": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
}
HEAD, EMBEDDING = "output.weight", "token_embd.weight"


def path_of(kind, model=run.MODEL):
    """Where the file of this kind lies; `q4_k_m` is the model's own file."""
    return model if kind == "q4_k_m" else model.with_name(f"{model.stem.removesuffix('-q4_k_m')}-{kind}.gguf")


def copy_metadata(reader, writer, file_type):
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind, *inner = field.types
        value = int(file_type) if field.name == "general.file_type" else field.contents()
        writer.add_key_value(field.name, value, kind, inner[-1] if kind == GGUFValueType.ARRAY else None)


def convert(reader, kind, out):
    """Writes one file; returns how many numbers it does not hold exactly."""
    encoding, file_type = TYPES[kind]
    new = out.with_suffix(".new")
    writer = GGUFWriter(new, reader.fields["general.architecture"].contents())
    copy_metadata(reader, writer, file_type)
    changed = 0
    for tensor in reader.tensors:
        values = weights.of(tensor)
        its_encoding = encoding if values.ndim > 1 else GGMLQuantizationType.F32
        data = gguf.quants.quantize(values, its_encoding)
        if not np.array_equal(gguf.quants.dequantize(data, its_encoding).reshape(values.shape), values):
            changed += int((gguf.quants.dequantize(data, its_encoding).reshape(values.shape) != values).sum())
        writer.add_tensor(tensor.name, data, raw_dtype=its_encoding)
        if kind == "bf16_f32head" and tensor.name == EMBEDDING:
            writer.add_tensor(HEAD, values, raw_dtype=GGMLQuantizationType.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    new.rename(out)
    return changed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="+", choices=TYPES)
    parser.add_argument("--model", type=Path, default=run.MODEL)
    args = parser.parse_args()
    reader = GGUFReader(args.model)
    for kind in args.kinds:
        out = path_of(kind, args.model)
        if out.exists():
            print(f"{kind}: have {out.name}  {answers.sha256_of(out)}")
            continue
        changed = convert(reader, kind, out)
        print(f"{kind}: {out.name}  {answers.sha256_of(out)}  {changed} numbers are not those of the model")


if __name__ == "__main__":
    main()
