"""What tokens tell a map: each patch token fills a square of its places."""

import math

import keras
from keras import ops

from semivit_tf.layers.normalized_conv2d import NormalizedConv2D


def square_grid(count):
    """Returns the rows and columns of a square of so many tokens."""
    side = math.isqrt(count)
    if side * side != count:
        raise ValueError(
            f"`grid` should be given where tokens are no square. Received: {count}"
        )
    return side, side


@keras.saving.register_keras_serializable(package="semivit_tf")
class TokensToMap(keras.layers.Layer):
    """Projects patch tokens `[B, N, D]` and repeats each over a square of a map.

    Args:
        filters: Integer C. Channels of the map.
        ratio: Integer. The side of a square, in places of the map.
        epsilon: Float. Of the batch norm.
        synchronized: See `NormalizedConv2D`.

    Reference:
        Peng et al., Conformer: Local Features Coupling Global Representations, 2021.
    """

    def __init__(self, filters, ratio, *, epsilon=1e-6, synchronized=False, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.ratio = ratio
        self.epsilon = epsilon
        self.synchronized = synchronized
        self.project = NormalizedConv2D(
            filters,
            use_bias=True,
            epsilon=epsilon,
            synchronized=synchronized,
            name="project",
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        self.project.build((input_shape[0], 1, 1, input_shape[-1]))

    def call(self, tokens, grid=None, training=False):
        """`grid`: the rows and columns of the tokens; by default they are a square."""
        rows, columns = grid or square_grid(tokens.shape[1])
        cells = ops.reshape(tokens, (-1, rows, columns, tokens.shape[-1]))
        cells = ops.relu(self.project(cells, training=training))
        if self.ratio == 1:
            return cells
        # Each cell `ratio` times below and beside itself.
        split = (-1, rows, 1, columns, 1, self.filters)
        full = (ops.shape(tokens)[0], rows, self.ratio, columns, self.ratio)
        repeated = ops.broadcast_to(ops.reshape(cells, split), (*full, self.filters))
        sides = rows * self.ratio, columns * self.ratio
        return ops.reshape(repeated, (-1, *sides, self.filters))

    def compute_output_shape(self, input_shape, grid=None):
        rows, columns = grid or square_grid(input_shape[1])
        sides = rows * self.ratio, columns * self.ratio
        return (input_shape[0], *sides, self.filters)

    def get_config(self):
        names = "filters ratio epsilon synchronized"
        config = super().get_config()
        return {**config, **{name: getattr(self, name) for name in names.split()}}
