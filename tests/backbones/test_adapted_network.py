"""A network made elsewhere: pixels, pooling, and networks that cannot be adapted."""

import keras
import numpy as np
import pytest

from semivit_tf.backbones.adapted_network import AdaptedNetwork

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 1)).astype("float32")


def patches(rank=4, shape=(None, None, 3)):
    """A network from images to 5 features of each 4x4 patch, of one token or image."""
    images = keras.Input(shape)
    outputs = keras.layers.Conv2D(5, 4, strides=4)(images)
    if rank == 3:
        outputs = keras.layers.Reshape((-1, 5))(outputs)
    if rank == 2:
        outputs = keras.layers.GlobalMaxPooling2D()(outputs)
    return keras.Model(images, outputs, name="patches")


def adapt(network, **options):
    arguments = {"image_size": 8, "channels": 1, **options}
    return AdaptedNetwork(network, keras.layers.Rescaling(1 / 255, -0.5), **arguments)


def numpy_patches(network, images):
    kernel, bias = network.layers[1].get_weights()
    scaled = np.repeat(images / 255 - 0.5, 3, axis=-1)
    cells = scaled.reshape(2, 2, 4, 2, 4, 3).swapaxes(2, 3).reshape(2, 4, 48)
    return cells @ kernel.reshape(48, 5) + bias  # [B, N, D]


@pytest.mark.parametrize(
    ("rank", "pooling", "pool"),
    [
        (4, "mean", lambda tokens: tokens.mean(axis=1)),
        (3, "mean", lambda tokens: tokens.mean(axis=1)),
        (3, "class_token", lambda tokens: tokens[:, 0]),
        (2, "mean", lambda tokens: tokens.max(axis=1)),
    ],
)
def test_grey_pixels_are_repeated_scaled_and_features_pooled(rank, pooling, pool):
    network = patches(rank)
    backbone = adapt(network, pooling=pooling)
    expected = pool(numpy_patches(network, IMAGES))
    np.testing.assert_allclose(backbone(IMAGES), expected, rtol=1e-4, atol=1e-5)
    assert backbone.compute_output_shape((9, 8, 8, 1)) == (9, 5)
    again = AdaptedNetwork.from_config(backbone.get_config())
    again.set_weights(backbone.get_weights())
    np.testing.assert_allclose(again(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_weights_are_named_by_their_number():
    backbone = adapt(patches())
    assert sorted(backbone.weight_names().values()) == [
        "adapted_network/00000",
        "adapted_network/00001",
    ]


def two_images():
    images = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    return keras.Model(images, keras.layers.Add()(images))


def two_outputs():
    images = keras.Input((8, 8, 3))
    return keras.Model(images, {"a": images, "b": keras.layers.ReLU()(images)})


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (lambda: patches(shape=(4, 4, 3)), {}, r"should be \(4, 4\), which patches"),
        (patches, {"channels": 2}, "`channels` should be 1 or 3. Received: 2"),
        (patches, {"pooling": "class_token"}, r"one of \('mean',\) for patches"),
        (lambda: patches(3), {"pooling": "max"}, r"Received: pooling='max'"),
        (two_images, {}, r"take images \[B, H, W, C\] alone"),
        (two_outputs, {}, r"return features \[B, D\], \[B, N, D\] or"),
    ],
)
def test_networks_that_cannot_be_adapted_are_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        adapt(network(), **options)
