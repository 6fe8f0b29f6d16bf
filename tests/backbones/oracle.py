"""Residual and two-stream networks in NumPy, written down from the papers.

Weights are looked up by their paths inside the network. Everything is in float64 and in
inference mode.
"""

import numpy as np
from scipy.special import erf, softmax


class Weights:
    """The weights of a network by path, without the network's own name."""

    def __init__(self, network):
        self.values = {
            weight.path.split("/", 1)[1]: weight.numpy().astype("float64")
            for weight in network.weights
        }

    def __call__(self, path):
        return self.values[path]

    def has(self, path):
        return path in self.values


def convolve(x, kernel, stride=1, margin=None):
    """A convolution with a margin of zeros, by default (kernel - 1) / 2."""
    side = kernel.shape[0]
    margin = (side - 1) // 2 if margin is None else margin
    x = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
    return np.einsum("bhwcij,ijcd->bhwd", windows[:, ::stride, ::stride], kernel)


def max_pool(x):
    """3x3 with stride 2 and a margin of 1."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return windows[:, ::2, ::2].max(axis=(-2, -1))


def relu(x):
    return np.maximum(x, 0)


def gelu(x):
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def batch_norm(w, path, x, epsilon):
    mean, variance = w(f"{path}/moving_mean"), w(f"{path}/moving_variance")
    normal = (x - mean) / np.sqrt(variance + epsilon)
    return normal * w(f"{path}/gamma") + w(f"{path}/beta")


def layer_norm(w, path, x, epsilon):
    normal = x - x.mean(-1, keepdims=True)
    normal /= np.sqrt((normal**2).mean(-1, keepdims=True) + epsilon)
    return normal * w(f"{path}/gamma") + w(f"{path}/beta")


def linear(w, path, x):
    return x @ w(f"{path}/kernel") + w(f"{path}/bias")


def conv_norm(w, path, x, stride, epsilon):
    return batch_norm(
        w, f"{path}/norm", convolve(x, w(f"{path}/conv/kernel"), stride), epsilon
    )


def stem(w, x, stride):
    if stride == 4:
        return max_pool(relu(conv_norm(w, "stem/conv", x, 2, 1e-5)))
    return relu(conv_norm(w, "stem/conv", x, stride, 1e-5))


def bottleneck(w, path, x, stride=1, epsilon=1e-5, to_input=0.0, to_middle=0.0):
    """Returns the output and the features after the 3x3 convolution."""
    narrow = relu(conv_norm(w, f"{path}/conv1", x + to_input, 1, epsilon)) + to_middle
    middle = relu(conv_norm(w, f"{path}/conv2", narrow, stride, epsilon))
    change = conv_norm(w, f"{path}/conv3", middle, 1, epsilon)
    if w.has(f"{path}/shortcut/conv/kernel"):
        x = conv_norm(w, f"{path}/shortcut", x, stride, epsilon)
    return relu(x + change), middle


def transformer(w, path, x, heads):
    batch, count, width = x.shape
    qkv = linear(w, f"{path}/attention/qkv", layer_norm(w, f"{path}/norm1", x, 1e-6))
    q, k, v = qkv.reshape(batch, count, 3, heads, width // heads).transpose(
        2, 0, 3, 1, 4
    )
    scores = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(width // heads), axis=-1)
    mixed = (scores @ v).transpose(0, 2, 1, 3).reshape(x.shape)
    x = x + linear(w, f"{path}/attention/projection", mixed)
    hidden = linear(w, f"{path}/mlp/expand", layer_norm(w, f"{path}/norm2", x, 1e-6))
    return x + linear(w, f"{path}/mlp/contract", gelu(hidden))


def down(w, path, x, ratio):
    """A map as tokens."""
    x = convolve(x, w(f"{path}/project/kernel")) + w(f"{path}/project/bias")
    batch, rows, columns, width = x.shape
    squares = x.reshape(batch, rows // ratio, ratio, columns // ratio, ratio, width)
    tokens = squares.mean(axis=(2, 4)).reshape(batch, -1, width)
    return gelu(layer_norm(w, f"{path}/norm", tokens, 1e-6))


def up(w, path, tokens, ratio, rows):
    """Patch tokens as a map."""
    cells = tokens.reshape(len(tokens), rows, -1, tokens.shape[-1])
    cells = cells @ w(f"{path}/project/conv/kernel")[0, 0]
    cells = cells + w(f"{path}/project/conv/bias")
    cells = relu(batch_norm(w, f"{path}/project/norm", cells, 1e-6))
    return cells.repeat(ratio, axis=1).repeat(ratio, axis=2)


def two_streams(network, images, mean, deviation, wide):
    """Returns both features of a `Conformer`, or if `wide`, of a `Semiformer`."""
    w, heads = Weights(network), network.heads
    x = (images.astype("float64") / 255 - mean) / deviation
    base = stem(w, x, network.stem_stride)
    ratio = network.patch_size // network.stem_stride
    kernel = w("patch_embedding/kernel").reshape(ratio, ratio, base.shape[-1], -1)
    tokens = convolve(base, kernel, ratio, margin=0) + w("patch_embedding/bias")
    rows, width = tokens.shape[1], tokens.shape[-1]
    tokens = tokens.reshape(len(images), -1, width)
    first = np.broadcast_to(w("class_token"), (len(images), 1, width))
    tokens = np.concatenate([first, tokens], axis=1)
    tokens = transformer(w, "transformer_block", tokens, heads)
    x, _ = bottleneck(w, "conv_block", base, epsilon=1e-6)
    number = 1
    for stage, depth in enumerate(network.depths):
        for place in range(depth - (stage == 0)):
            number += 1
            path = f"block{number}"
            stride = 2 if stage and not place else 1
            ratio //= stride
            x, middle = bottleneck(w, f"{path}/first", x, stride, 1e-6)
            told = down(w, f"{path}/down", x if wide else middle, ratio)
            tokens = tokens + np.concatenate([tokens[:, :1], told], axis=1)
            tokens = transformer(w, f"{path}/transformer", tokens, heads)
            added = up(w, f"{path}/up", tokens[:, 1:], ratio, rows)
            place_of = {"to_input" if wide else "to_middle": added}
            last = 2 if number == sum(network.depths) else 1
            x, _ = bottleneck(w, f"{path}/second", x, last, 1e-6, **place_of)
    return x.mean(axis=(1, 2)), layer_norm(w, "norm", tokens, 1e-5)[:, 0]


def residual(network, images, mean, deviation):
    """Returns the features of a `ResNet`."""
    w = Weights(network)
    x = (images.astype("float64") / 255 - mean) / deviation
    x = stem(w, x, network.stem_stride)
    for stage, depth in enumerate(network.depths):
        for place in range(depth):
            stride = 2 if stage and not place else 1
            x, _ = bottleneck(w, f"stage{stage}_block{place}", x, stride)
    return x.mean(axis=(1, 2))


def wide_residual(network, images, mean, deviation):
    """Returns the features of a `WideResNet`."""

    def active(x):
        return np.where(x > 0, x, network.negative_slope * x)

    w = Weights(network)
    x = (images.astype("float64") / 255 - mean) / deviation
    x = convolve(x, w("stem/kernel"))
    for stage, depth in enumerate(network.depths):
        for place in range(depth):
            path = f"stage{stage}_block{place}"
            stride = 2 if stage and not place else 1
            first = active(batch_norm(w, f"{path}/norm1", x, 1e-5))
            change = convolve(first, w(f"{path}/conv1/kernel"), stride)
            change = active(batch_norm(w, f"{path}/norm2", change, 1e-5))
            change = convolve(change, w(f"{path}/conv2/kernel"))
            if w.has(f"{path}/shortcut/kernel"):
                x = convolve(first, w(f"{path}/shortcut/kernel"), stride)
            x = x + change
    return active(batch_norm(w, "norm", x, 1e-5)).mean(axis=(1, 2))


def disturb(network, seed=0):
    """Moves all weights, so that no bias or statistic is what it starts from."""
    generator = np.random.default_rng(seed)
    for weight in network.weights:
        noise = generator.normal(size=weight.shape)
        if weight.name == "moving_variance":
            weight.assign(np.exp(0.3 * noise))
        else:
            weight.assign_add(0.1 * noise)
