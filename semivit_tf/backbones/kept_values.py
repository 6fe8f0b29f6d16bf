"""How many values a network keeps of each image until the gradient has passed.

Counted from what the layers do and held to measurements, see
`experiments/benchmarks/memory.py`.
"""

import math

import keras

from semivit_tf.backbones.adapted_network import AdaptedNetwork
from semivit_tf.backbones.convnext import ConvNeXt
from semivit_tf.backbones.vit import ViT

# Of a transformer block, in tokens: two norms' inputs and outputs, query, key and value
# as computed and as arranged, what is projected, both sides of the GELU of 4 times the
# width, and the branches that drop path scales.
_BLOCK_TOKENS = 18
_ATTENTIONS = 2  # scores and their softmax
_CONVNEXT_MAPS = 15  # of a ConvNeXt block: the same, around its 4 times wider middle
_LAYERS = 1.3  # of a network of layers: outputs, and what the layers keep besides


def transformer_values(tokens, width, heads, depth):
    """Returns the values that transformer blocks keep of an image."""
    block = _BLOCK_TOKENS * tokens * width + _ATTENTIONS * heads * tokens**2
    return depth * block


def kept_values(network, tokens=None):
    """Returns the values that a backbone keeps of an image.

    Args:
        network: A backbone, or any functional `keras.Model`.
        tokens: Optional integer. How many tokens a ViT sees, where not all.

    Returns:
        Integer, or None for a network whose layers are not known.
    """
    if isinstance(network, ViT):
        if tokens is None:
            tokens = network.grid[0] * network.grid[1] + 1
        sizes = tokens, network.width, network.heads
        if not network.rematerialize:
            return transformer_values(*sizes, network.depth)
        # The inputs of both branches, and all of the block that is computed again.
        inputs = 2 * network.depth * tokens * network.width
        return inputs + transformer_values(*sizes, 1)
    if isinstance(network, ConvNeXt):
        return _convnext_values(network)
    if isinstance(network, AdaptedNetwork):
        return kept_values(network.network)
    if _is_functional(network):
        return int(_LAYERS * _functional_values(network))
    return None


def _convnext_values(network):
    height, width = (side // network.stem_patch for side in network.image_size)
    values = 0
    for number, (depth, channels) in enumerate(
        zip(network.depths, network.widths, strict=True)
    ):
        places = (height >> number) * (width >> number)
        values += (_CONVNEXT_MAPS * depth + 2) * places * channels
    return values


def _is_functional(layer):
    return isinstance(layer, keras.Model) and bool(layer.inputs)


def _functional_values(network):
    values = 0
    for layer in network.layers:
        if _is_functional(layer):
            values += _functional_values(layer)
            continue
        for tensor in keras.tree.flatten(layer.output):
            sizes = tensor.shape[1:]
            values += 0 if None in sizes else math.prod(sizes)
    return values
