"""Resizing of position tables and patch kernels.

Both are resized as by published code: PyTorch's bicubic interpolation, with half-pixel
centres, coefficient -0.75 and no antialiasing. DINOv2's tables have a way of their own,
see `ViT`.
"""

import math

import numpy as np

from semivit_tf.layers.position_embedding import bicubic_matrix, resize_position_grid
from semivit_tf.weights.weights_error import WeightsError


def is_grid(value):
    """Returns whether a value is two positive integers."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(type(side) is int and 0 < side < 2**20 for side in value)
    )


def grid_like(tokens, grid):
    """Returns the grids that a table of so many tokens may have.

    That is a square, or a grid of the same aspect as the model's.
    """
    found = set()
    side = math.isqrt(tokens)
    if side and side * side == tokens:
        found.add((side, side))
    rows = math.isqrt(tokens * grid[0] // grid[1])
    if rows and tokens % rows == 0 and rows * grid[1] == tokens // rows * grid[0]:
        found.add((rows, tokens // rows))
    return found


def find_grid(rows, grid, source_grid=None):
    """Finds the grid of a position table, and whether it has a row for the class.

    Args:
        rows: Integer. Rows of the table.
        grid: Tuple `(rows, columns)` of the model's table.
        source_grid: That of the file's table, if it is known.

    Returns:
        Tuple `(grid, has_class_row)`.
    """
    if source_grid is not None:
        found = {(tuple(source_grid), rows - math.prod(source_grid))}
        found = {(known, extra) for known, extra in found if extra in (0, 1)}
    else:
        found = {
            (known, extra)
            for extra in (0, 1)
            for known in grid_like(rows - extra, grid)
        }
        if rows - math.prod(grid) in (0, 1):
            found.add((tuple(grid), rows - math.prod(grid)))
    if len(found) != 1:
        shown = (
            " or ".join(f"{r}x{c}" for (r, c), _ in sorted(found)) or "no known grid"
        )
        raise WeightsError(
            f"a position table of {rows} rows may be made for {shown}: `source_grid`, "
            "--init_source_grid, should say its rows and columns of patches"
        )
    return next(iter(found))


def resize_positions(table, lengths, grid, source_grid=None, **how):
    """Resizes a position table to `[1 + N, D]` of another grid.

    A table without a row for the class token gets one of zeros, which adds nothing.

    Args:
        table: Array of float32, `[1 + M, D]` or `[M, D]`.
        lengths: Tuple `(1, rows)` for a published table; `(rows,)` for one of ours,
            which has the same grid if it has the same length.
        grid: Tuple `(rows, columns)` of N tokens.
        source_grid: Optional tuple `(rows, columns)` of M tokens.
        **how: Options of `resize_position_grid`.
    """
    if len(lengths) == 1 and len(table) == 1 + math.prod(grid):
        return table
    if len(lengths) == 2 and lengths[0] != 1:
        raise WeightsError(f"there should be one position table, not {lengths[0]}")
    known, has_class_row = find_grid(len(table), grid, source_grid)
    if has_class_row and known == tuple(grid):
        return table
    first = table[:1] if has_class_row else np.zeros_like(table[:1])
    cells = resize_position_grid(table[has_class_row:], known, grid, **how)
    cells = np.asarray(cells)
    return np.concatenate([first, cells])


def resize_patches(kernel, lengths, channels, patch_size):
    """Resizes the kernel `[p * p * C, D]` of a patch embedding to `[P * P * C, D]`.

    Args:
        kernel: Array of float32.
        lengths: Tuple `(p, p, C)` for a published kernel, `(p * p * C,)` for ours.
        channels: Integer C.
        patch_size: Integer P.
    """
    if len(lengths) == 1:
        side = math.isqrt(len(kernel) // channels)
        lengths = (side, side, len(kernel) / side**2 if side else 0)
    side = lengths[0]
    if lengths != (side, side, channels):
        raise WeightsError(
            f"a patch kernel should have square patches of {channels} channels. "
            f"Received: {lengths}"
        )
    if side == patch_size:
        return kernel
    matrix = bicubic_matrix(side, patch_size)
    cells = kernel.reshape(side, side, channels, -1)
    cells = np.einsum("yr,xc,rckd->yxkd", matrix, matrix, cells, optimize=True)
    return cells.reshape(patch_size**2 * channels, -1)
