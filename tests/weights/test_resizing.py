"""Tables of positions and patch kernels, against PyTorch's numbers."""

import numpy as np
import pytest

from semivit_tf.layers.position_embedding import resize_position_grid
from semivit_tf.weights.layouts import PATCHES, to_ours
from semivit_tf.weights.resizing import find_grid, resize_patches, resize_positions
from semivit_tf.weights.weights_error import WeightsError
from tests.weights.files import expected


@pytest.mark.parametrize("side", [2, 7])
@pytest.mark.parametrize("lengths", [(4, 4, 2), (32,)])
def test_kernels_equal_pytorch(side, lengths):
    numbers = expected()
    found = resize_patches(to_ours(numbers["kernel"], PATCHES), lengths, 2, side)
    np.testing.assert_allclose(
        found, to_ours(numbers[f"kernel_{side}"], PATCHES), atol=1e-5
    )


def test_a_kernel_of_the_same_size_stays():
    kernel = np.random.default_rng(0).normal(size=(5 * 5 * 3, 4)).astype("float32")
    for lengths in ((5, 5, 3), (75,)):
        assert resize_patches(kernel, lengths, 3, 5) is kernel


@pytest.mark.parametrize(
    "lengths",
    [(3, 2, 3), (18,), (3, 6, 1), (2,), (0,), (0, 4, 3), (4, 4, 4), (8, 8, 1)],
)
def test_kernels_of_other_patches_are_refused(lengths):
    """With 4 channels, 64 values a patch could be 4x4 of them as well as 8x8 of one."""
    kernel = np.zeros((int(np.prod(lengths)), 4), "float32")
    with pytest.raises(WeightsError, match="square patches of 3 channels"):
        resize_patches(kernel, lengths, 3, 4)


@pytest.mark.parametrize("has_class_row", [True, False])
def test_tables_equal_pytorch(has_class_row):
    """From 2x3 to 5x4, which only the caller can know."""
    numbers = expected()
    table = numbers["cells"].transpose(0, 2, 3, 1).reshape(6, 5)
    first = np.arange(5, dtype="float32")[None]
    whole = np.concatenate([first, table]) if has_class_row else table
    found = resize_positions(whole, (1, len(whole)), (5, 4), (2, 3))
    wanted = numbers["cells_5_4"].transpose(0, 2, 3, 1).reshape(20, 5)
    np.testing.assert_allclose(found[1:], wanted, atol=1e-6)
    np.testing.assert_array_equal(found[:1], first if has_class_row else first * 0)


def test_a_table_of_as_many_rows_may_be_of_another_grid():
    """Our own files hold tables of the model's grid; of others, nobody knows."""
    table = np.random.default_rng(0).normal(size=(17, 4)).astype("float32")
    assert resize_positions(table, (17,), (2, 8)) is table
    assert resize_positions(table, (1, 17), (2, 8), (2, 8)) is table
    with pytest.raises(WeightsError, match="made for 2x8 or 4x4"):
        resize_positions(table, (1, 17), (2, 8))
    found = resize_positions(table, (1, 17), (2, 8), (4, 4))
    wanted = resize_position_grid(table[1:], (4, 4), (2, 8))
    np.testing.assert_array_equal(found[1:], wanted)
    with pytest.raises(WeightsError, match="one position table, not 17"):
        resize_positions(table, (17, 1), (2, 8))


@pytest.mark.parametrize(
    "rows, grid, found, has_class_row",
    [
        (197, (14, 14), (14, 14), True),
        (196, (14, 14), (14, 14), False),
        (197, (7, 9), (14, 14), True),
        (50, (5, 2), (7, 7), True),
        (51, (8, 4), (10, 5), True),
        (13, (3, 4), (3, 4), True),
        (12, (3, 4), (3, 4), False),
        (2, (1, 1), (1, 1), True),
    ],
)
def test_grids_are_inferred(rows, grid, found, has_class_row):
    assert find_grid(rows, grid) == (found, has_class_row)


def test_a_known_grid_decides():
    assert find_grid(257, (8, 32), (16, 16)) == ((16, 16), True)
    assert find_grid(50, (8, 4), (10, 5)) == ((10, 5), False)


@pytest.mark.parametrize(
    "rows, grid, known, message",
    [
        (257, (8, 32), None, "8x32 or 16x16"),
        (50, (8, 4), None, "7x7 or 10x5"),  # with a class row, or without
        (198, (14, 14), None, "no known grid"),
        (1, (14, 14), (14, 14), "no known grid"),
        (197, (14, 14), (13, 14), "no known grid"),
    ],
)
def test_other_grids_have_to_be_told(rows, grid, known, message):
    message += ": `source_grid`, --init_source_grid, should say"
    with pytest.raises(WeightsError, match=message):
        find_grid(rows, grid, known)
