"""A transformer block in NumPy, to compare networks with."""

import numpy as np
from scipy.special import erf, softmax


def numpy_norm(x, gamma, beta, epsilon=1e-6):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + epsilon) * gamma + beta


def numpy_block(x, weights, heads, qkv_bias=True, epsilon=1e-6):
    """Applies a pre-norm block; `weights` are in the order of `TransformerBlock`."""
    g1, b1, qkv, *weights = weights
    qkv_b, *weights = weights if qkv_bias else (0.0, *weights)
    out, out_b, g2, b2, fc1, fc1_b, fc2, fc2_b = weights
    width = x.shape[-1] // heads
    fused = numpy_norm(x, g1, b1, epsilon) @ qkv + qkv_b
    mixed = np.zeros_like(x)
    for head in range(heads):
        q, k, v = (
            fused[..., part * x.shape[-1] + head * width :][..., :width]
            for part in range(3)
        )
        scores = np.einsum("bnd,bmd->bnm", q, k) / np.sqrt(width)
        attended = np.einsum("bnm,bmd->bnd", softmax(scores, axis=-1), v)
        mixed[..., head * width : (head + 1) * width] = attended
    x = x + mixed @ out + out_b
    hidden = numpy_norm(x, g2, b2, epsilon) @ fc1 + fc1_b
    hidden = hidden * 0.5 * (1 + erf(hidden / np.sqrt(2)))
    return x + hidden @ fc2 + fc2_b
