"""The model's weights: the tensors of a quantised GGUF file, dequantised, every matrix rounded once to bf16 (docs/schemes.md)."""

import numpy as np
from gguf import quants


def rounded_to_bf16(values):
    """f32 → the nearest bf16, ties to even, as f32; exact for all finite numbers below the largest bf16."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    bits = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF_0000)
    return bits.view(np.float32)


def of(tensor):
    """[rows, columns] or [columns] f32 of a tensor of the file."""
    values = quants.dequantize(tensor.data, tensor.tensor_type)
    values = values.reshape(tensor.shape[::-1]).astype(np.float32)
    return rounded_to_bf16(values) if values.ndim > 1 else values


def named(reader, name):
    return of(next(tensor for tensor in reader.tensors if tensor.name == name))

