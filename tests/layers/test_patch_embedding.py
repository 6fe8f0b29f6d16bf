"""Cutting images into patches and projecting them."""

import keras
import numpy as np

from semivit_tf.layers.patch_embedding import PatchEmbedding, patchify, unpatchify


def test_unpatchify_inverts_patchify_bit_for_bit():
    images = np.random.default_rng(0).random((2, 6, 9, 2), "float32")
    patches = patchify(keras.ops.convert_to_tensor(images), 3)
    assert patches.shape == (2, 6, 18)
    np.testing.assert_array_equal(unpatchify(patches, 3, (2, 3)), images)


def test_patches_are_row_major_and_ordered_row_column_channel():
    image = np.arange(4 * 6 * 2).reshape(1, 4, 6, 2)
    patches = np.asarray(patchify(keras.ops.convert_to_tensor(image), 2))
    np.testing.assert_array_equal(patches[0, 1], image[0, 0:2, 2:4].reshape(-1))
    np.testing.assert_array_equal(patches[0, 3], image[0, 2:4, 0:2].reshape(-1))


def test_projection_is_a_convolution_with_stride_patch():
    layer = PatchEmbedding(4, 5)
    images = np.random.default_rng(1).random((2, 8, 12, 3), "float32")
    tokens = layer(images)
    kernel = keras.ops.reshape(layer.kernel, (4, 4, 3, 5))
    expected = keras.ops.conv(images, kernel, strides=4) + layer.bias
    np.testing.assert_allclose(
        tokens, np.asarray(expected).reshape(2, 6, 5), rtol=1e-4, atol=1e-5
    )


def test_start_is_uniform_within_the_published_bound():
    layer = PatchEmbedding(4, 64)
    layer.build((None, 8, 8, 3))
    bound = 1 / np.sqrt(48)
    kernel = layer.kernel.numpy()
    assert 0.99 * bound < np.abs(kernel).max() <= bound
    np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.05)
    assert 0 < np.abs(layer.bias.numpy()).max() <= bound
