"""ConvNeXt: published sizes, features by its parts, groups, names of weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.backbones.convnext import CONVNEXT_SIZES, ConvNeXt
from semivit_tf.methods.semi_vit import SemiViT
from tests.methods.small import semi_batch, small_convnext

# With a head for 1,000 classes, as published with the weights.
PUBLISHED = {
    "convnext_tiny": 28_589_128,
    "convnext_small": 50_223_688,
    "convnext_base": 88_591_464,
}


def closed_form(depths, widths, stem_patch=4, channels=3):
    """Counts the weights of a ConvNeXt without its head, from its sizes."""
    total = stem_patch**2 * channels * widths[0] + 3 * widths[0]
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        total += 2 * before + 4 * before * after + after
    for depth, width in zip(depths, widths, strict=True):
        total += depth * (8 * width**2 + 58 * width)  # 49 + 1, 2, 4 + 1 and the scale
    return total + 2 * widths[-1]


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_sizes_give_the_published_number_of_weights(name):
    size = CONVNEXT_SIZES[name]
    head = 1000 * size["widths"][-1] + 1000
    assert closed_form(**size) + head == PUBLISHED[name]


def test_a_built_network_has_the_published_number_of_weights():
    backbone = ConvNeXt(224, **CONVNEXT_SIZES["convnext_tiny"])
    assert backbone.count_params() + 768 * 1000 + 1000 == 28_589_128
    assert backbone.compute_output_shape((5, 224, 224, 3)) == (5, 768)


def test_the_closed_form_is_that_of_a_built_network():
    for stem_patch, channels in ((2, 1), (4, 3)):
        options = {"stem_patch": stem_patch, "channels": channels}
        backbone = ConvNeXt(32, (2, 1, 3), (4, 6, 8), **options)
        assert backbone.count_params() == closed_form((2, 1, 3), (4, 6, 8), **options)


def test_features_equal_the_parts_put_together():
    """The strided convolutions as matrix products over patches, in NumPy."""
    backbone = small_convnext(layer_scale=1.0, channels=3)
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")

    def norm(x, layer):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return x * layer.gamma.numpy() + layer.beta.numpy()

    def strided(x, layer, side):
        rows, columns, width = x.shape[1] // side, x.shape[2] // side, x.shape[3]
        cells = x.reshape(2, rows, side, columns, side, width).swapaxes(2, 3)
        kernel = layer.kernel.numpy().reshape(side * side * width, -1)
        return cells.reshape(2, rows, columns, -1) @ kernel + layer.bias.numpy()

    for variable in backbone.trainable_variables:  # no bias or beta stays at zero
        variable.assign_add(keras.random.normal(variable.shape, stddev=0.1, seed=3))
    x = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    x = norm(strided(x, backbone.stem, 2), backbone.stem_norm)
    x = np.asarray(backbone.blocks[0](x.astype("float32")))
    x = strided(norm(x, backbone.downsample_norms[0]), backbone.downsamples[0], 2)
    for block in backbone.blocks[1:]:
        x = np.asarray(block(x.astype("float32")))
    assert x.shape == (2, 2, 2, 12)
    expected = norm(x.mean(axis=(1, 2)), backbone.norm)
    np.testing.assert_allclose(backbone(images), expected, rtol=1e-3, atol=1e-3)


def test_uint8_and_float_pixels_are_the_same_image():
    backbone = small_convnext()
    images = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 1)).astype("uint8")
    np.testing.assert_array_equal(backbone(images), backbone(images.astype("float32")))


def test_names_of_weights_say_where_they_are():
    """Files of weights use them."""
    names = {w.path.rsplit("/", 1)[0] for w in small_convnext().weights}
    blocks = ["stage0_block0", "stage1_block0", "stage1_block1"]
    parts = ["depthwise", "norm", "mlp/expand", "mlp/contract"]
    assert names == {
        *("convnext/stem", "convnext/stem_norm", "convnext/norm"),
        *("convnext/downsample1_norm", "convnext/downsample1"),
        *(f"convnext/{block}" for block in blocks),  # the scale
        *(f"convnext/{block}/{part}" for block in blocks for part in parts),
    }


def test_kernels_start_from_a_normal_distribution_and_biases_from_zero():
    backbone = ConvNeXt(32, (1, 1), (64, 128))
    kernels = [w for w in backbone.weights if w.name == "kernel"]
    biases = [w for w in backbone.weights if w.name in ("bias", "beta")]
    assert len(kernels) == 8 and len(biases) == 13
    for kernel in kernels:
        np.testing.assert_allclose(kernel.numpy().std(), 0.02, rtol=0.06)
    for bias in biases:
        np.testing.assert_array_equal(bias.numpy(), 0)
    for block in backbone.blocks:
        np.testing.assert_allclose(block.scale.numpy(), 1e-6)


def test_drop_path_grows_linearly_over_all_blocks():
    backbone = small_convnext(depths=(2, 3), drop_path=0.4)
    rates = [block.drop_path for block in backbone.blocks]
    np.testing.assert_allclose(rates, [0, 0.1, 0.2, 0.3, 0.4])


def test_layer_groups_are_the_stem_and_runs_of_three_blocks():
    backbone = ConvNeXt(16, (3, 1, 7), (4, 4, 4), stem_patch=4)
    groups = backbone.layer_groups()
    heads = [sorted({v.path.split("/")[1] for v in group}) for group in groups]
    assert heads == [
        ["stem", "stem_norm"],
        ["stage0_block0", "stage0_block1", "stage0_block2"],
        ["downsample1", "downsample1_norm", "stage1_block0"],
        [
            *("downsample2", "downsample2_norm"),
            *("stage2_block0", "stage2_block1", "stage2_block2"),
        ],
        ["stage2_block3", "stage2_block4", "stage2_block5"],
        ["stage2_block6"],
    ]
    grouped = {id(variable) for group in groups for variable in group}
    assert len(grouped) == sum(map(len, groups))
    rest = [v.path for v in backbone.trainable_variables if id(v) not in grouped]
    assert rest == ["convnext/norm/gamma", "convnext/norm/beta"]


def test_a_base_network_has_the_published_thirteen_groups():
    depths = CONVNEXT_SIZES["convnext_base"]["depths"]
    backbone = ConvNeXt(32, depths, (2, 2, 2, 2))
    assert len(backbone.layer_groups()) == 1 + 12


def test_gradients_reach_all_weights():
    backbone = small_convnext(layer_scale=1.0)
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 1)).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(backbone(images, training=True) ** 3)
    variables = backbone.trainable_variables
    assert len(variables) == 4 + 4 + 3 * 9 + 2
    gradients = tape.gradient(loss, variables)
    for gradient, variable in zip(gradients, variables, strict=True):
        assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize(
    ("image_size", "options"),
    [
        ((28, 28), {"stem_patch": 2}),
        ((12, 20), {"stem_patch": 1}),
        (32, {"stem_patch": 4, "depths": (1, 1, 1), "widths": (4, 4, 6)}),
    ],
)
def test_small_images_of_any_size_that_the_strides_divide(image_size, options):
    backbone = small_convnext(image_size=image_size, **options)
    height, width, channels = backbone.image_shape
    assert backbone(np.zeros((2, height, width, channels))).shape == (2, backbone.width)
    # Another size than the one that it was made for.
    assert backbone(np.zeros((1, 64, 32, 1))).shape == (1, backbone.width)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"image_size": 30},
            r"product of the strides, .* = 4. Received: image_size=\(30, 3",
        ),
        ({"stem_patch": 3}, "= 6. Received: image_size=.*, stem_patch=3"),
        ({"stem_patch": 0}, "stem_patch=0"),
        ({"depths": (1,)}, r"per stage. Received: depths=\(1,\), widths=\(8, 12\)"),
        ({"depths": (), "widths": ()}, r"Received: depths=\(\)"),
        ({"widths": (8, 0)}, r"widths=\(8, 0\)"),
        ({"drop_path": 1.0}, r"in \[0, 1\). Received: drop_path=1.0"),
        ({"layer_scale": -1.0}, "positive. Received: layer_scale=-1.0"),
    ],
)
def test_wrong_sizes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_convnext(**options)


def test_a_few_steps_of_semi_supervised_learning_reduce_the_loss():
    options = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0, "seed": 0}
    model = SemiViT(small_convnext(), 3, threshold=0.0, **options)
    model.compile(keras.optimizers.AdamW(1e-2))
    data = tf.data.Dataset.from_tensors(semi_batch()).repeat(30)
    history = model.fit(data, epochs=2, verbose=0).history
    assert history["labeled_loss"][0] < 1.2  # near log 3 on average
    assert history["labeled_loss"][1] < 0.8 * history["labeled_loss"][0]
    assert history["loss"][1] < history["loss"][0]
