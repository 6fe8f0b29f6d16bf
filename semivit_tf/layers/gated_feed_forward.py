"""The gated feed-forward part of a transformer block (SwiGLU)."""

import keras
from keras import ops

from semivit_tf.layers.feed_forward import FeedForward


def gated_width(hidden_width):
    """Returns the hidden width that costs as much as an ungated one: 2/3, in eights."""
    return (int(hidden_width * 2 / 3) + 7) // 8 * 8


@keras.saving.register_keras_serializable(package="semivit_tf")
class GatedFeedForward(FeedForward):
    """A dense layer whose first half, through a SiLU, multiplies its second; a dense.

    Args:
        hidden_width: Integer. Channels of each half.
        kernel_initializer: Keras initializer or its config.

    Reference:
        Shazeer, GLU Variants Improve Transformer, 2020.
    """

    halves = 2

    def call(self, tokens, training=False):
        gate, value = ops.split(self.expand(tokens), 2, axis=-1)
        return self.contract(ops.silu(gate) * value)
