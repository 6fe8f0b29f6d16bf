"""Axes of published weights, and of ours."""

import numpy as np
import pytest

from semivit_tf.weights import layouts
from semivit_tf.weights.layouts import our_shape, to_ours, to_published


def counted(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


@pytest.mark.parametrize(
    "layout, shape, index, ours, sides",
    [
        (layouts.VECTOR, (5,), (3,), (3,), {}),
        (layouts.DENSE, (4, 3), (2, 1), (1, 2), {}),
        (layouts.KERNEL, (4, 3), (2, 1), (2, 1), {}),
        (layouts.TOKENS, (1, 4, 3), (0, 2, 1), (2, 1), {0: 1}),
        # Row 1, column 2 and channel 0 of a patch of 3x3 with 2 channels.
        (layouts.PATCHES, (4, 2, 3, 3), (3, 0, 1, 2), (10, 3), {2: 3, 3: 3}),
        (layouts.IMAGE_PATCHES, (3, 3, 2, 4), (1, 2, 0, 3), (10, 3), {0: 3, 1: 3}),
        (layouts.CONVOLUTION, (5, 4, 2, 2), (3, 2, 1, 0), (1, 0, 2, 3), {}),
        (layouts.DEPTHWISE, (5, 1, 7, 7), (3, 0, 1, 6), (1, 6, 3, 0), {}),
        # Head 1, channel 2 of two heads of 3 channels.
        (layouts.TO_HEADS, (6, 2, 3), (4, 1, 2), (4, 5), {1: 2}),
        (layouts.HEADS_BIAS, (2, 3), (1, 2), (5,), {0: 2}),
        (layouts.FROM_HEADS, (2, 3, 6), (1, 2, 4), (5, 4), {0: 2}),
    ],
)
def test_one_number_by_hand_and_there_and_back(layout, shape, index, ours, sides):
    published = counted(*shape)
    array = to_ours(published, layout)
    assert array.shape == our_shape(layout, shape)
    assert array[ours] == published[index]
    np.testing.assert_array_equal(to_published(array, layout, sides), published)


def test_arrays_of_another_rank_do_not_fit():
    assert our_shape(layouts.DENSE, (3,)) is None
    assert our_shape(layouts.TOKENS, (3, 4)) is None
    assert our_shape(layouts.same(3), (1, 2, 3)) == (1, 2, 3)
