"""Write EfficientNet-Lite0 with given weights as a .keras file.

    python experiments/efficientnet_lite0.py --weights=FILE.npz --output=FILE.keras

FILE.npz holds the weights by the names of PyTorch's EfficientNet-Lite packages. The
network takes pixels, which it scales itself, of images of any size, and ends in the
mean over places of its last 1,280 channels. So it is a backbone as it is:
`--backbone=keras:FILE.keras`. Fine-tuning moves the statistics of its batch norm.
Weights that do not fit, or with which the answer is not finite, are refused.

Reference: Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", 2019; the Lite models have ReLU6 and no squeeze-and-excitation.
"""

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402

# Side of the kernel, stride of the first block, expansion, channels, blocks.
STAGES = (
    *((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3)),
    *((5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)),
)
STEM, HEAD = 32, 1280
PARAMETERS = 3_371_008  # without the head of 1,000 classes, and without statistics
EPSILON, MOMENTUM = 1e-3, 0.99
# The part of a layer's name in the file, and where Keras has it in `get_weights`.
NORM = ("weight", "bias", "running_mean", "running_var")


def normalized(features, name, active=True):
    """Returns features after batch norm and, unless they are projected, ReLU6."""
    norm = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)
    features = norm(features)
    return layers.ReLU(6.0, name=f"{name}_relu")(features) if active else features


def block(features, name, kernel, stride, expansion, channels):
    """Returns the features after an inverted bottleneck."""
    options = {"padding": "same", "use_bias": False}
    inside, before = features, features.shape[-1]
    if expansion > 1:
        expand = layers.Conv2D(
            expansion * before, 1, name=f"{name}_expand_conv", **options
        )
        inside = normalized(expand(inside), f"{name}_bn0")
    depthwise = layers.DepthwiseConv2D(
        kernel, stride, name=f"{name}_depthwise_conv", **options
    )
    inside = normalized(depthwise(inside), f"{name}_bn1")
    project = layers.Conv2D(channels, 1, name=f"{name}_project_conv", **options)
    inside = normalized(project(inside), f"{name}_bn2", active=False)
    if stride == 1 and before == channels:
        return layers.Add(name=f"{name}_add")([features, inside])
    return inside


def build():
    """Returns the network from pixels `[B, H, W, 3]` to features `[B, 1280]`."""
    options = {"padding": "same", "use_bias": False}
    images = keras.Input((None, None, 3), name="pixels")
    features = layers.Rescaling(1 / 128, -127 / 128, name="scaling")(images)
    stem = layers.Conv2D(STEM, 3, 2, name="conv_stem", **options)
    features = normalized(stem(features), "bn0")
    number = 0
    for kernel, stride, expansion, channels, repeats in STAGES:
        for repeat in range(repeats):
            name, own = f"blocks_{number}", stride if repeat == 0 else 1
            features = block(features, name, kernel, own, expansion, channels)
            number += 1
    features = layers.Conv2D(HEAD, 1, name="conv_head", **options)(features)
    features = normalized(features, "bn1")
    pooled = layers.GlobalAveragePooling2D(name="pooled")(features)
    return keras.Model(images, pooled, name="efficientnet_lite0")


def name_in_file(layer):
    """Returns the beginning of the names of a layer's weights in the file."""
    if not layer.name.startswith("blocks_"):
        return f"_{layer.name}"
    _, number, *words = layer.name.split("_")
    return f"_blocks.{number}._{'_'.join(words)}"


def kernel_of(layer, array):
    """Returns a kernel of PyTorch, `[out, in, h, w]`, as the layer has it."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return array.transpose(2, 3, 0, 1)
    return array.transpose(2, 3, 1, 0)


def load(network, path):
    """Gives the network the weights of a file; refuses one that does not fit."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file}
    used = {"_fc.weight", "_fc.bias"}  # of ImageNet's classes
    used |= {name for name in arrays if name.endswith("num_batches_tracked")}
    for layer in network.layers:
        if not layer.weights:
            continue
        parts = NORM if isinstance(layer, layers.BatchNormalization) else ("weight",)
        names = [f"{name_in_file(layer)}.{part}" for part in parts]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ValueError(f"{path} should hold {missing[0]}. Received: no such name")
        found = [arrays[name] for name in names]
        layer.set_weights(
            [kernel_of(layer, array) if array.ndim == 4 else array for array in found]
        )
        used |= set(names)
    if left := sorted(set(arrays) - used):
        raise ValueError(f"{path} holds what the network has no place for: {left[:3]}")


def check(network):
    """Refuses a network of another size, or whose answer is not finite."""
    count = sum(np.prod(weight.shape) for weight in network.trainable_weights)
    if count != PARAMETERS:
        raise ValueError(f"should have {PARAMETERS:,} parameters. Received: {count:,}")
    images = np.random.default_rng(0).uniform(0, 255, (2, 96, 128, 3))
    features = network.predict(images, verbose=0)
    if features.shape != (2, HEAD) or not np.isfinite(features).all():
        raise ValueError("the answer should be finite features of two images")


def write(weights, output):
    """Writes the `.keras` file."""
    network = build()
    load(network, weights)
    check(network)
    output.parent.mkdir(parents=True, exist_ok=True)
    network.save(output)


def main():
    """Writes the file, or says in one line why not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help=".npz, names of PyTorch")
    parser.add_argument("--output", required=True, type=pathlib.Path, help=".keras")
    arguments = parser.parse_args()
    try:
        write(arguments.weights, arguments.output)
    except (OSError, ValueError) as error:
        print(f"efficientnet_lite0.py: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    print(f"{arguments.output}: {PARAMETERS:,} parameters, {HEAD} features")


if __name__ == "__main__":
    main()
