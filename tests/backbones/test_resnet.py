"""ResNets and wide ResNets: published sizes, features by NumPy, batch statistics."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.backbones import create_backbone
from semivit_tf.layers.batch_norm import BatchNorm
from tests.backbones import oracle
from tests.methods.small import small_resnet, small_wide_resnet

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype("float32")


def trainable(name, classes, **options):
    """Counts what learns, with a linear head; no weights are made."""
    with keras.StatelessScope(initialize_variables=False):
        backbone = create_backbone(name, **options)
    count = sum(math.prod(weight.shape) for weight in backbone.trainable_variables)
    return count + (backbone.width + 1) * classes


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("resnet50", 1000, 25_557_032),
        ("resnet101", 1000, 44_549_160),
        ("wide_resnet28_2", 10, 1_467_610),
    ],
)
def test_published_sizes_have_the_published_number_of_weights(name, classes, expected):
    assert trainable(name, classes) == expected


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (small_resnet, oracle.residual),
        (small_wide_resnet, oracle.wide_residual),
        (lambda: small_resnet(image_size=(20, 16), stem_stride=4), oracle.residual),
        (lambda: small_resnet(depths=(2, 2), stem_stride=2), oracle.residual),
        (lambda: small_wide_resnet(depths=(2, 1)), oracle.wide_residual),
    ],
)
def test_features_equal_numpy(build, expected):
    backbone = build()
    oracle.disturb(backbone)
    shape = (2, *backbone.image_shape)
    images = np.random.default_rng(1).uniform(0, 255, shape).astype("float32")
    found = backbone(images)
    features = expected(backbone, images, 0.5, 0.5)
    assert found.shape == backbone.compute_output_shape(shape) == features.shape
    np.testing.assert_allclose(found, features, rtol=1e-4, atol=1e-4)


def test_convolutions_have_no_bias():
    names = [weight.path for weight in small_resnet().weights]
    names += [weight.path for weight in small_wide_resnet().weights]
    assert len(names) > 50 and not [name for name in names if name.endswith("bias")]


def test_kernels_start_with_the_variance_of_their_outputs():
    backbone = small_resnet(widths=(256, 256), stem_width=64)
    found = {w.path: w.numpy().std() for w in backbone.weights if w.name == "kernel"}
    expected = {
        "resnet/stem/conv/conv/kernel": (2 / (9 * 64)) ** 0.5,
        "resnet/stage1_block0/conv2/conv/kernel": (2 / (9 * 64)) ** 0.5,
        "resnet/stage1_block0/conv3/conv/kernel": (2 / 256) ** 0.5,
    }
    for path, deviation in expected.items():
        np.testing.assert_allclose(found[path], deviation, rtol=0.06)


@pytest.mark.parametrize(
    ("build", "others"), [(small_resnet, set()), (small_wide_resnet, {"norm"})]
)
def test_layer_groups_are_the_stem_and_each_block(build, others):
    backbone = build(depths=(2, 1))
    groups = backbone.layer_groups()
    names = [{variable.path.split("/")[1] for variable in group} for group in groups]
    blocks = ["stage0_block0", "stage0_block1", "stage1_block0"]
    assert names == [{name} for name in ["stem", *blocks]]
    grouped = {id(variable) for group in groups for variable in group}
    rest = [v for v in backbone.trainable_variables if id(v) not in grouped]
    assert {variable.path.split("/")[1] for variable in rest} == others


@pytest.mark.parametrize("build", [small_resnet, small_wide_resnet])
def test_drop_path_grows_linearly_over_all_blocks(build):
    backbone = build(depths=(2, 3), drop_path=0.4)
    rates = [block.drop_path for block in backbone.blocks]
    np.testing.assert_allclose(rates, [0, 0.1, 0.2, 0.3, 0.4])
    first, second = (np.asarray(backbone(IMAGES, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("build", [small_resnet, small_wide_resnet])
def test_gradients_reach_all_weights(build):
    backbone = build()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(backbone(IMAGES, training=True) ** 3)
    gradients = tape.gradient(loss, backbone.trainable_variables)
    assert len(gradients) >= 17
    for gradient, variable in zip(gradients, backbone.trainable_variables, strict=True):
        assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": (1,)}, "one positive integer per stage. Received: depths=\\(1,\\)"),
        ({"widths": (6, 8)}, "a multiple of 4. Received: 6"),
        ({"stem_stride": 3}, "1, 2 or 4. Received: stride=3"),
        ({"drop_path": 1.0}, r"in \[0, 1\). Received: drop_path=1.0"),
    ],
)
def test_wrong_sizes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_resnet(**options)


# === Batch norm ===


def test_running_statistics_follow_the_batches_that_are_learned():
    layer = BatchNorm()
    images = np.random.default_rng(0).normal(3.0, 2.0, (8, 2, 2, 4)).astype("float32")
    layer(images, training=False)
    np.testing.assert_array_equal(layer.moving_mean, 0)
    outputs = layer(images, training=True)
    mean, variance = images.mean((0, 1, 2)), images.var((0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-5)
    expected = (images - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(outputs, expected, atol=1e-4)


@pytest.mark.parametrize("synchronized", [False, True])
def test_replicas_have_one_running_mean(synchronized, mirrored):
    """Each replica normalises its own images, or, synchronised, those of both."""
    images = np.arange(8.0, dtype="float32").reshape(4, 1, 1, 2)
    with mirrored.scope():
        layer = BatchNorm(synchronized=synchronized, epsilon=0.0)
        layer.build((None, 1, 1, 2))
    halves = mirrored.experimental_distribute_values_from_function(
        lambda context: tf.constant(images[2 * context.replica_id_in_sync_group :][:2])
    )

    @tf.function
    def step(halves):
        return mirrored.run(lambda half: layer(half, training=True), (halves,))

    outputs = np.concatenate(mirrored.experimental_local_results(step(halves)))
    groups = [images] if synchronized else [images[:2], images[2:]]
    expected = [(group - group.mean(0)) / group.std(0) for group in groups]
    np.testing.assert_allclose(outputs, np.concatenate(expected), atol=1e-5)
    variance = np.mean([group.var(0).ravel() for group in groups], axis=0)
    for weight, value in (
        (layer.moving_mean, 0.1 * images.mean(0).ravel()),
        (layer.moving_variance, 0.9 + 0.1 * variance),
    ):
        for copy in mirrored.experimental_local_results(weight.value):
            np.testing.assert_allclose(copy, value, rtol=1e-5)
