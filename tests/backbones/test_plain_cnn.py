"""The judge's network: its sizes, and weights that are found again."""

import numpy as np
import pytest

from semivit_tf.backbones.plain_cnn import plain_cnn


@pytest.mark.parametrize(
    ("shape", "maps"),
    [
        ((8, 8, 1), [(4, 4, 32), (2, 2, 64)]),
        ((28, 28, 1), [(14, 14, 32), (7, 7, 64)]),
        ((60, 40, 3), [(30, 20, 32), (15, 10, 64), (8, 5, 128)]),
    ],
)
def test_maps_are_halved_until_they_are_small(shape, maps):
    network = plain_cnn(shape)
    found = [
        tuple(layer.output.shape[1:])
        for layer in network.layers
        if layer.name.startswith("pooling")
    ]
    assert found == maps and network.output.shape == (None, 128)
    channels = [shape[-1], *(size[-1] for size in maps)]
    convolutions = sum(
        9 * before * after + after
        for before, after in zip(channels[:-1], channels[1:], strict=True)
    )
    assert network.count_params() == convolutions + (np.prod(maps[-1]) + 1) * 128


def test_two_of_them_have_the_same_names_and_pixels_are_scaled():
    one, other = plain_cnn((8, 8, 1)), plain_cnn((8, 8, 1))
    paths = [[weight.path for weight in network.weights] for network in (one, other)]
    assert paths[0] == paths[1] and len(paths[0]) == 6
    scaled = one.get_layer("scaling")(np.array([0.0, 127.5, 255.0]))
    np.testing.assert_allclose(scaled, [-1.0, 0.0, 1.0])
