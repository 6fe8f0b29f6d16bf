"""How many values a network keeps of each image until the gradient has passed.

Counted from what the layers do and held to measurements, see
`experiments/benchmarks/memory.py`.
"""

import math

import keras

from semivit_tf.backbones.adapted_network import AdaptedNetwork
from semivit_tf.backbones.conformer import Conformer
from semivit_tf.backbones.convnext import ConvNeXt
from semivit_tf.backbones.resnet import ResidualNetwork
from semivit_tf.backbones.vit import ViT
from semivit_tf.layers.bottleneck import Bottleneck
from semivit_tf.layers.pre_activation_block import PreActivationBlock

# Of a transformer block, in tokens: two norms' inputs and outputs, query, key and value
# as computed and as arranged, what is projected, both sides of the GELU of 4 times the
# width, and the branches that drop path scales.
_BLOCK_TOKENS = 18
_LAYER_SCALES = 2  # both branches before their factors
_GATED = 3  # what a gated part of 2/3 the hidden width keeps besides
_ATTENTIONS = 2  # scores and their softmax
_CONVNEXT_MAPS = 15  # of a ConvNeXt block: the same, around its 4 times wider middle
_NORMALIZED = 3  # of what a convolution gives: before and after its norm and rectifier
_MIXER_MAPS = 9  # of a ConvMixer block: two norms, two GELUs, their inputs and the sum
_LAYERS = 1.3  # of a network of layers: outputs, and what the layers keep besides


def transformer_values(tokens, width, heads, depth, block_tokens=_BLOCK_TOKENS):
    """Returns the values that transformer blocks keep of an image."""
    block = block_tokens * tokens * width + _ATTENTIONS * heads * tokens**2
    return depth * block


def kept_values(network, tokens=None):
    """Returns the values that a backbone keeps of an image.

    Args:
        network: A backbone, or any functional `keras.Model`.
        tokens: Optional integer. How many tokens a ViT sees besides its registers,
            where not all.

    Returns:
        Integer, or None for a network whose layers are not known.
    """
    if isinstance(network, ViT):
        if tokens is None:
            tokens = network.grid[0] * network.grid[1] + 1
        tokens += network.registers
        sizes = tokens, network.width, network.heads
        block = _BLOCK_TOKENS + _LAYER_SCALES * (network.layer_scale is not None)
        block += _GATED * (network.feed_forward == "swiglu")
        if not network.rematerialize:
            return transformer_values(*sizes, network.depth, block)
        # The inputs of both branches, and all of the block that is computed again.
        inputs = 2 * network.depth * tokens * network.width
        return inputs + transformer_values(*sizes, 1, block)
    if isinstance(network, ConvNeXt):
        return _convnext_values(network)
    if isinstance(network, ResidualNetwork):
        return _residual_values(network)
    if isinstance(network, Conformer):
        return _two_stream_values(network)
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


def _size(shape):
    return math.prod(shape[1:])


def _residual_values(network):
    shape = (1, *network.image_shape)
    values = _NORMALIZED * _stem_size(network, shape)
    shape = network.stem.compute_output_shape(shape)
    for block in network.blocks:
        values += _block_values(block, shape)
        shape = block.compute_output_shape(shape)
    return values


def _stem_size(network, shape):
    """Returns the size of the stem's convolution, which may be before a pooling."""
    return _size(
        getattr(network.stem, "conv", network.stem).compute_output_shape(shape)
    )


def _block_values(block, shape):
    """Returns the values that a convolutional block keeps, by its input's shape."""
    before, after = _size(shape), _size(block.compute_output_shape(shape))
    if isinstance(block, PreActivationBlock):
        return _NORMALIZED * (before + 2 * after)
    if isinstance(block, Bottleneck):
        narrow = before // shape[-1] * block.filters // 4
        maps = narrow + after // 4 + after * (1 + block.project)
        return _NORMALIZED * maps + after
    return _MIXER_MAPS * after


def _two_stream_values(network):
    images = (1, *network.image_shape)
    features = network.stem.compute_output_shape(images)
    grid = [side // network.patch_size for side in network.image_size]
    tokens = 1 + math.prod(grid)
    depth = 1 + len(network.blocks)
    values = transformer_values(tokens, network.width, network.heads, depth)
    values += _NORMALIZED * _stem_size(network, images)
    values += _block_values(network.conv_block, features)
    features = network.conv_block.compute_output_shape(features)
    for block in network.blocks:
        values += _block_values(block.first, features)
        features = block.first.compute_output_shape(features)
        values += _block_values(block.second, features)
        if not block.separate:
            # A projected map, its tokens, and the map that comes back.
            places = math.prod(features[1:3])
            values += places * network.width + 4 * tokens * network.width
            values += 2 * places * block.told_filters()
        features = block.second.compute_output_shape(features)
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
