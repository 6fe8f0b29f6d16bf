"""Fixed tables, and tables resized to another grid."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from semivit_tf.layers.position_embedding import (
    PositionEmbedding,
    bicubic_matrix,
    resize_position_grid,
    sincos_table,
)


def test_sincos_table_equals_the_closed_form():
    width, rows, columns = 16, 3, 5
    table = sincos_table(width, (rows, columns))
    np.testing.assert_array_equal(table[0], 0)
    quarter = width // 4
    for row in range(rows):
        for column in range(columns):
            token = table[1 + row * columns + column]
            for k in range(quarter):
                omega = 10000 ** (-k / quarter)
                expected = [np.sin(column * omega), np.cos(column * omega)]
                expected += [np.sin(row * omega), np.cos(row * omega)]
                np.testing.assert_allclose(token[k::quarter], expected, atol=1e-6)


def test_sincos_positions_are_not_trained_and_learned_ones_are():
    for kind, trainable in (("sincos", 0), ("learned", 1)):
        layer = PositionEmbedding((2, 2), kind=kind)
        layer.build((None, 4, 8))
        assert len(layer.trainable_variables) == trainable
        assert layer.table.shape == (5, 8)


def test_resizing_to_the_same_grid_is_the_identity():
    rows = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
    np.testing.assert_array_equal(resize_position_grid(rows, (3, 4), (3, 4)), rows)
    np.testing.assert_allclose(bicubic_matrix(7, 7), np.eye(7), atol=1e-6)


def test_a_constant_table_stays_constant():
    resized = resize_position_grid(np.full((16, 3), 2.5, "float32"), (4, 4), (7, 9))
    assert resized.shape == (63, 3)
    np.testing.assert_allclose(resized, 2.5, rtol=1e-5)


def test_doubling_by_hand():
    """Half-pixel centres lie at a quarter: cubic weights with a = -0.75."""
    a, x = -0.75, np.array([1.25, 0.25, 0.75, 1.75])
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    expected = np.where(x <= 1, near, far)
    np.testing.assert_allclose(bicubic_matrix(8, 16)[7, 2:6], expected, atol=1e-6)


# Computed with PyTorch 2.13, of unit vectors:
# F.interpolate(x, scale_factor=((target + 0.1) / source, 1), mode="bicubic").
SCALED = {
    (4, 2): [
        [0.5535180, 0.5305350, -0.0840520, 0.0],
        [0.0, -0.1106960, 0.7699530, 0.3407430],
    ],
    (2, 3): [
        [1.0900360, -0.0900370],
        [0.5362740, 0.4637260],
        [-0.0666360, 1.0666360],
    ],
}


@pytest.mark.parametrize("sizes", SCALED)
def test_a_scale_that_is_not_of_the_sizes(sizes):
    np.testing.assert_allclose(bicubic_matrix(*sizes, 0.1), SCALED[sizes], atol=1e-6)


def test_call_on_another_grid_adds_resized_rows():
    layer = PositionEmbedding((2, 2))
    layer.build((None, 4, 8))
    outputs = layer(tf.zeros((1, 12, 8)), grid=(3, 4))
    np.testing.assert_allclose(
        outputs[0],
        resize_position_grid(layer.table.numpy()[1:], (2, 2), (3, 4), 0.1),
        atol=1e-6,
    )


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind='cosine'"):
        PositionEmbedding((2, 2), kind="cosine")


def test_antialiasing_is_pil_s():
    rows = np.random.default_rng(0).normal(size=(7, 9)).astype("float32")
    for height, width in ((3, 4), (7, 9), (15, 5), (1, 20)):
        resized = resize_position_grid(
            rows.reshape(-1, 1), (7, 9), (height, width), antialias=True
        )
        picture = Image.fromarray(rows).resize((width, height), Image.BICUBIC)
        found = np.asarray(resized).reshape(height, width)
        np.testing.assert_allclose(found, np.asarray(picture), atol=1e-5)
