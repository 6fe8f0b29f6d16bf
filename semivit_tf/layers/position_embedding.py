"""Position embeddings of tokens, learned or fixed, and their resizing."""

import keras
import numpy as np
from keras import ops

# Code that resizes tables at run time, first DINO's, adds this to the new sides before
# it divides by the old ones, against rounding; that moves the positions a little.
GUARD = 0.1


def sincos_positions(count, channels):
    """Returns sines then cosines of the positions 0..count-1: `[count, channels]`.

    The frequencies are 10000 ** (-k / (channels / 2)).
    """
    half = channels // 2
    frequencies = 10000.0 ** (-np.arange(half) / half)
    angles = np.arange(count)[:, None] * frequencies[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def sincos_table(width, grid):
    """Returns the fixed table `[1 + N, D]` of a grid of tokens, as MAE uses it.

    The first half of the channels encodes the column and the second half the row;
    row 0, of the class token, is zero.
    """
    if width % 4:
        raise ValueError(
            "`width` should be a multiple of 4 for sin-cos positions. "
            f"Received: width={width}"
        )
    rows, columns = grid
    column_half = np.tile(sincos_positions(columns, width // 2), (rows, 1))
    row_half = np.repeat(sincos_positions(rows, width // 2), columns, axis=0)
    table = np.concatenate([column_half, row_half], axis=1)
    return np.concatenate([np.zeros((1, width)), table]).astype("float32")


def bicubic_matrix(source, target, guard=0.0):
    """Returns the `[target, source]` matrix of bicubic resizing along one axis.

    Cubic coefficient -0.75, half-pixel centres, edges repeated, no antialiasing:
    what published code applies to position tables (`tf.image` uses -0.5).

    Args:
        source: Integer. Length before.
        target: Integer. Length after.
        guard: Float. Added to `target` in the scale alone, see `GUARD`.
    """
    a = -0.75
    matrix = np.zeros((target, source))
    for row in range(target):
        centre = (row + 0.5) * source / (target + guard) - 0.5
        base = int(np.floor(centre))
        for tap in range(base - 1, base + 3):
            x = abs(centre - tap)
            if x <= 1:
                weight = (a + 2) * x**3 - (a + 3) * x**2 + 1
            else:
                weight = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
            matrix[row, min(max(tap, 0), source - 1)] += weight
    return matrix.astype("float32")


def antialiased_matrix(source, target):
    """Returns the `[target, source]` matrix of antialiased bicubic resizing.

    Cubic coefficient -0.5, half-pixel centres, the kernel widened where the axis gets
    shorter, weights beyond an edge left out: as PIL resizes images, and PyTorch with
    `antialias=True`.

    Args:
        source: Integer. Length before.
        target: Integer. Length after.
    """
    a = -0.5
    widening = max(1.0, source / target)
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    x = np.abs(np.arange(source)[None, :] - centres[:, None]) / widening
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    matrix = np.where(x <= 1, near, np.where(x < 2, far, 0.0))
    return (matrix / matrix.sum(axis=1, keepdims=True)).astype("float32")


def resize_position_grid(
    positions, source_grid, target_grid, guard=0.0, antialias=False
):
    """Resizes the rows of a position table from one grid of tokens to another.

    Args:
        positions: Tensor `[N, D]`, row-major over `source_grid`, no class row.
        source_grid: Tuple `(rows, columns)`.
        target_grid: Tuple `(rows, columns)`.
        guard: Float. See `bicubic_matrix`.
        antialias: Bool. Whether the matrices are `antialiased_matrix`.

    Returns:
        Tensor `[M, D]`, row-major over `target_grid`.
    """
    if tuple(source_grid) == tuple(target_grid):
        return positions
    width = positions.shape[-1]
    cells = ops.reshape(positions, (*source_grid, width))
    vertical, horizontal = (
        ops.cast(
            antialiased_matrix(source, target)
            if antialias
            else bicubic_matrix(source, target, guard),
            cells.dtype,
        )
        for source, target in zip(source_grid, target_grid, strict=True)
    )
    cells = ops.einsum("yr,xc,rcd->yxd", vertical, horizontal, cells)
    return ops.reshape(cells, (target_grid[0] * target_grid[1], width))


@keras.saving.register_keras_serializable(package="semivit_tf")
class PositionEmbedding(keras.layers.Layer):
    """A table with one row per token of a grid, plus one for the class token.

    Args:
        grid: Tuple `(rows, columns)` that the table is made for.
        kind: `"learned"` or `"sincos"` (fixed).
        class_row: Bool. Whether there is a row for the class token.
        antialias: Bool. Whether the table is antialiased when it is resized.
    """

    def __init__(
        self, grid, *, kind="learned", class_row=True, antialias=False, **kwargs
    ):
        super().__init__(**kwargs)
        if kind not in ("learned", "sincos"):
            raise ValueError(
                f'`kind` should be "learned" or "sincos". Received: kind={kind!r}'
            )
        self.grid = tuple(grid)
        self.kind = kind
        self.has_class_row = class_row
        self.antialias = antialias

    def build(self, input_shape):
        width, first = input_shape[-1], int(self.has_class_row)
        if self.kind == "sincos":
            table = sincos_table(width, self.grid)[1 - first :]

            def initializer(shape, dtype=None):
                return ops.convert_to_tensor(table, dtype)

        else:
            initializer = keras.initializers.RandomNormal(stddev=0.02)
        self.table = self.add_weight(
            shape=(first + self.grid[0] * self.grid[1], width),
            initializer=initializer,
            trainable=self.kind == "learned",
            name="position_table",
        )

    def class_row(self):
        """Returns the class token's row `[1, D]`."""
        return self.table[:1]

    def grid_rows(self, grid):
        """Returns the rows `[N, D]` of a grid's tokens, resized if necessary."""
        table = ops.convert_to_tensor(self.table)[int(self.has_class_row) :]
        return resize_position_grid(table, self.grid, grid, GUARD, self.antialias)

    def call(self, tokens, grid=None):
        rows = self.grid_rows(grid or self.grid)
        return tokens + ops.cast(rows, tokens.dtype)

    def compute_output_shape(self, input_shape, grid=None):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "grid": self.grid,
            "kind": self.kind,
            "class_row": self.has_class_row,
            "antialias": self.antialias,
        }
