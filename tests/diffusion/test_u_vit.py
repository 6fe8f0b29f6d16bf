"""U-ViT: counts of published sizes, the network in NumPy, tokens and gradients."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import correlate

from semivit_tf.diffusion import U_VIT_SIZES, UViT, create_u_vit
from semivit_tf.diffusion.time_embedding import time_embedding
from semivit_tf.layers.patch_embedding import patchify, unpatchify
from tests.diffusion.small import noised_batch, small_u_vit
from tests.layers.numpy_block import numpy_block, numpy_norm

PUBLISHED_PARAMETERS = {
    "u_vit_small_patch2_cifar10": 44_255_328,
    "u_vit_small_patch4_celeba64": 44_292_228,
    "u_vit_medium_patch4_imagenet64": 130_940_292,
    "u_vit_large_patch4_imagenet64": 286_827_652,
    "u_vit_large_patch2_imagenet256": 286_763_172,
    "u_vit_huge_patch2_imagenet256": 500_832_016,
    "u_vit_large_patch4_imagenet512": 286_861_524,
    "u_vit_huge_patch4_imagenet512": 500_942_656,
}


def parameters(build):
    """Counts weights from their shapes: in this scope none gets a value."""
    with keras.StatelessScope(initialize_variables=False):
        return sum(math.prod(weight.shape) for weight in build().weights)


@pytest.mark.parametrize("name", U_VIT_SIZES)
def test_published_sizes_have_the_published_number_of_parameters(name):
    assert parameters(lambda: create_u_vit(name)) == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize(
    "patch_size, width, depth, count",
    [(4, 96, 4, 604_154), (7, 128, 6, 1_500_603), (4, 64, 4, 271_706)],
)
def test_free_sizes_have_as_many_as_the_formula_says(patch_size, width, depth, count):
    def build():
        return UViT(28, patch_size, 1, width, depth, 4, num_classes=11)

    assert parameters(build) == count


# === The network in NumPy ===


def numpy_u_vit(model, images, times, labels):
    """The forward pass, from the weights by name, in float64."""
    width, patch = model.width, model.patch_size
    rows, columns = model.grid

    def of(name, number=None):
        layer = getattr(model, name)
        layer = layer if number is None else layer[number]
        return [weight.numpy().astype(float) for weight in layer.weights]

    def block(x, *name):
        return numpy_block(x, of(*name), model.heads, qkv_bias=False, epsilon=1e-5)

    tokens = []
    for row in range(rows):
        for column in range(columns):
            cut = images[:, row * patch :, column * patch :][:, :patch, :patch]
            kernel, bias = of("patch_embedding")
            tokens.append(cut.reshape(len(images), -1) @ kernel + bias)
    frequencies = 10000 ** (-np.arange(width // 2) / (width // 2))
    angles = times.astype(float)[:, None] * frequencies
    tokens.insert(0, np.concatenate([np.cos(angles), np.sin(angles)], axis=1))
    if model.num_classes is not None:
        tokens.insert(0, model.class_table.numpy()[labels])
    x = np.stack(tokens, axis=1) + model.position_table.numpy()
    kept = []
    for number in range(model.depth // 2):
        x = block(x, "in_blocks", number)
        kept.append(x)
    x = block(x, "middle_block")
    for number in range(model.depth // 2):
        kernel, bias = of("joints", number)
        opposite = kept[model.depth // 2 - 1 - number]
        x = np.concatenate([x, opposite], axis=-1) @ kernel + bias
        x = block(x, "out_blocks", number)
    x = numpy_norm(x, *of("norm"), epsilon=1e-5)
    kernel, bias = of("head")
    x = (x @ kernel + bias)[:, -rows * columns :]
    result = np.zeros((len(images), *model.image_shape))
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        cell = x[:, number].reshape(-1, patch, patch, model.channels)
        result[:, row * patch :, column * patch :][:, :patch, :patch] = cell
    if model.convolution is None:
        return result
    kernel, bias = of("convolution")
    smooth = np.zeros_like(result)
    for image in range(len(images)):
        for out in range(model.channels):
            smooth[image, ..., out] = bias[out] + sum(
                correlate(result[image, ..., i], kernel[..., i, out], mode="constant")
                for i in range(model.channels)
            )
    return smooth


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": (8, 4), "patch_size": 2, "channels": 3, "depth": 4},
        {"num_classes": None, "final_convolution": False},
    ],
    ids=["classes", "no classes"],
)
def test_the_network_equals_numpy(options):
    model = small_u_vit(**options)
    generator = np.random.default_rng(1)
    values = [generator.normal(0, 0.3, w.shape) for w in model.weights]
    model.set_weights(values)
    images = generator.normal(size=(3, *model.image_shape)).astype("float32")
    times = np.array([0.0, 333.3, 999.0], "float32")
    labels = np.array([2, 0, 3])
    expected = numpy_u_vit(model, images, times, labels)
    assert np.abs(expected).max() > 1
    found = model(images, times, None if model.num_classes is None else labels)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# === Its pieces ===


def test_the_time_token_starts_with_ones_then_zeros_and_keeps_its_length():
    rows = np.asarray(time_embedding(np.array([0.0, 1.0, 37.5, 999.0]), 16))
    np.testing.assert_array_equal(rows[0], [1.0] * 8 + [0.0] * 8)
    np.testing.assert_allclose((rows**2).sum(axis=1), 8.0, rtol=1e-6)
    np.testing.assert_allclose(rows[1, [0, 8]], [np.cos(1), np.sin(1)], rtol=1e-6)
    np.testing.assert_allclose(rows[1, 4], np.cos(0.01), rtol=1e-6)


@pytest.mark.parametrize("patch_size", [2, 4, 7])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_unpatchify_inverts_patchify_exactly(patch_size, channels):
    shape = (2, 2 * patch_size, 3 * patch_size, channels)
    images = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    again = unpatchify(patchify(images, patch_size), patch_size, (2, 3))
    np.testing.assert_array_equal(again, images)


def test_classes_come_first_then_the_time_then_the_patches():
    model, (images, times, labels) = small_u_vit(), noised_batch()
    tokens = np.asarray(model.tokens(images, times, labels))
    assert tokens.shape == (4, 2 + 4, 16)
    other = np.asarray(model.tokens(images, times, (labels + 1) % 4))
    changed = np.abs(tokens - other).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(changed, [True] + [False] * 5)
    later = np.asarray(model.tokens(images, times + 1, labels))
    changed = np.abs(tokens - later).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(changed, [False, True] + [False] * 4)
    without = small_u_vit(num_classes=None)
    assert without.tokens(images, times).shape == (4, 1 + 4, 16)


def test_what_goes_in_last_comes_out_first(monkeypatch):
    model, inputs = small_u_vit(depth=6), noised_batch()
    returned, skipped = [], []
    for block in model.in_blocks:
        monkeypatch.setattr(
            block,
            "call",
            lambda *args, own=block.call, **kwargs: (
                returned.append(own(*args, **kwargs)) or returned[-1]
            ),
        )
    for joint in model.joints:
        monkeypatch.setattr(
            joint,
            "call",
            lambda both, own=joint.call, **kwargs: (
                skipped.append(both[..., model.width :]) or own(both, **kwargs)
            ),
        )
    model(*inputs)
    assert len(returned) == len(skipped) == 3
    for before, after in zip(returned, reversed(skipped), strict=True):
        np.testing.assert_array_equal(before, after)
    assert np.abs(returned[0] - returned[2]).max() > 1e-3


def test_blocks_that_are_computed_twice_give_the_same_gradients():
    model, inputs = small_u_vit(), noised_batch()
    twice = small_u_vit(rematerialize=True)
    twice.set_weights(model.get_weights())
    gradients = []
    for one in (model, twice):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(one(*inputs, training=True)))
        found = tape.gradient(loss, one.trainable_variables)
        gradients.append([tf.convert_to_tensor(gradient) for gradient in found])
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_last_row_of_classes_is_accepted_and_one_beyond_it_is_not():
    model, (images, times, _) = small_u_vit(), noised_batch(1)
    assert np.isfinite(model(images, times, np.array([3]))).all()
    with pytest.raises(tf.errors.InvalidArgumentError):
        model(images, times, np.array([4]))
    with pytest.raises(ValueError, match="`labels` should be given"):
        model(images, times)


def test_gradients_reach_all_weights_but_rows_of_classes_not_seen():
    model, (images, times, _) = small_u_vit(depth=4), noised_batch()
    labels = np.array([0, 2, 2, 0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(images, times, labels, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert len(gradients) == 5 * 11 + 2 * 2 + 2 + 2 + 2 + 2 + 2
    for gradient, variable in zip(gradients, model.trainable_variables, strict=True):
        gradient = tf.convert_to_tensor(gradient).numpy()
        if variable.path.endswith("class_table"):
            seen = np.abs(gradient).max(axis=1) > 0
            np.testing.assert_array_equal(seen, [True, False, True, False])
        else:
            assert np.abs(gradient).max() > 0, variable.path


def test_huge_networks_have_no_final_convolution():
    for name, sizes in U_VIT_SIZES.items():
        assert sizes.get("final_convolution", True) is ("huge" not in name)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"depth": 3}, "`depth` should be even"),
        ({"patch_size": 3}, "`patch_size` should divide"),
        ({"heads": 3}, "`width` should be even and a multiple of `heads`"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_u_vit(**options)
    with pytest.raises(ValueError, match="should have the shape"):
        small_u_vit()(np.zeros((1, 4, 4, 1)), np.zeros(1), np.zeros(1, "int32"))
