"""Networks of two streams: published sizes, shapes, features by NumPy, and fusion."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.backbones import create_backbone
from semivit_tf.backbones.conformer import Conformer
from semivit_tf.backbones.semiformer import SemiformerBackbone
from tests.backbones import oracle
from tests.methods.small import small_conformer, small_semiformer

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype("float32")
# For 28x28 and 32x32 images, on two cores.
TINY = {
    **{"channels": 1, "patch_size": 4, "width": 64, "heads": 4, "depths": (3, 3)},
    **{"widths": (64, 128), "stem_width": 32, "stem_stride": 2},
}


def unallocated(name, **options):
    """A network whose weights have shapes but no values."""
    with keras.StatelessScope(initialize_variables=False):
        return create_backbone(name, **options)


def trainable(backbone, classes):
    """Counts what learns, with a linear head on each of both features."""
    count = sum(math.prod(weight.shape) for weight in backbone.trainable_variables)
    features = backbone.compute_output_shape((1, *backbone.image_shape))
    return count + sum((width + 1) * classes for _, width in features)


@pytest.mark.parametrize(
    ("name", "options", "classes", "expected"),
    [
        ("conformer_tiny", {}, 1000, 23_524_704),
        ("conformer_small", {}, 1000, 37_673_424),
        ("conformer_base", {}, 1000, 83_289_136),
        ("semiformer_small", {}, 1000, 41_670_288),
        ("semiformer_small", {"position_embedding": "learned"}, 1000, 41_745_552),
        ("semiformer", {"image_size": 28, **TINY}, 10, 532_852),
    ],
)
def test_sizes_have_the_published_number_of_weights(name, options, classes, expected):
    assert trainable(unallocated(name, **options), classes) == expected


def closed_form(width, heads, depths, widths, ratio, wide, classes):
    """Counts what learns from the sizes, by the papers' description."""

    def bottleneck(inputs, outputs, project):
        m = outputs // 4
        count = inputs * m + 2 * m + 9 * m**2 + 2 * m + m * outputs + 2 * outputs
        return count + project * (inputs * outputs + 2 * outputs)

    transformer = 12 * width**2 + 13 * width
    total = 49 * 3 * 64 + 128 + 64 * width * ratio**2 + width + transformer + width
    inputs = 64
    for stage, (depth, outputs) in enumerate(zip(depths, widths, strict=True)):
        told = outputs if wide else outputs // 4
        for number in range(depth):
            total += bottleneck(inputs, outputs, number == 0)
            inputs = outputs
            if stage or number:
                last = stage == len(depths) - 1 and number == depth - 1
                total += bottleneck(outputs, outputs, last) + transformer
                total += 2 * told * width + 3 * width + 3 * told
    return total + 2 * width + (width + 1 + inputs + 1) * classes


@pytest.mark.parametrize(
    ("build", "wide"), [(Conformer, False), (SemiformerBackbone, True)]
)
def test_the_closed_form_is_that_of_a_built_network(build, wide):
    sizes = {"width": 12, "heads": 2, "depths": (2, 1), "widths": (8, 16)}
    backbone = build(16, 8, **sizes)
    found = trainable(backbone, 5)
    assert found == closed_form(**sizes, ratio=2, wide=wide, classes=5)


def shapes(backbone):
    """Returns the shapes of the map and the tokens after each block."""
    images = (2, *backbone.image_shape)
    features = backbone.stem.compute_output_shape(images)
    count = math.prod(side // backbone.patch_size for side in backbone.image_size)
    tokens = (2, 1 + count, backbone.width)
    found = [features, backbone.conv_block.compute_output_shape(features)]
    for block in backbone.blocks:
        features, tokens = block.compute_output_shape(found[-1], tokens)
        found.append(features)
    return [shape[1:] for shape in found], tokens[1:]


@pytest.mark.parametrize("name", ["conformer_small", "semiformer_small"])
def test_blocks_of_the_published_size_have_the_published_shapes(name):
    backbone = unallocated(name)
    maps, tokens = shapes(backbone)
    assert tokens == (197, 384)
    assert maps == [
        *[(56, 56, 64)],
        *[(56, 56, 256)] * 4,
        *[(28, 28, 512)] * 4,
        *[(14, 14, 1024)] * 3,
        *[(7, 7, 1024)],
    ]
    assert [block.ratio for block in backbone.blocks] == [4] * 3 + [2] * 4 + [1] * 4
    assert backbone.compute_output_shape((5, 224, 224, 3)) == ((5, 1024), (5, 384))


@pytest.mark.parametrize(("size", "sides"), [(28, (14, 7, 4)), (32, (16, 8, 4))])
def test_blocks_of_the_tiny_size_fit_small_images(size, sides):
    backbone = unallocated("semiformer", image_size=size, **TINY)
    maps, tokens = shapes(backbone)
    first, second, last = sides
    assert tokens == (1 + (size // 4) ** 2, 64)
    assert maps == [
        (first, first, 32),
        *[(first, first, 64)] * 3,
        *[(second, second, 128)] * 2,
        (last, last, 128),
    ]
    assert len([block for block in backbone.blocks if not block.separate]) == 5


@pytest.mark.parametrize(
    ("build", "wide"), [(small_conformer, False), (small_semiformer, True)]
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"image_size": (16, 32), "patch_size": 16, "stem_stride": 4, "channels": 3},
        {"depths": (2, 1, 1), "widths": (8, 16, 12), "stem_stride": 1},
    ],
)
def test_both_features_equal_numpy(build, wide, options):
    backbone = build(**options)
    oracle.disturb(backbone)
    shape = (2, *backbone.image_shape)
    images = np.random.default_rng(1).uniform(0, 255, shape).astype("float32")
    mean, std = backbone.pixel_mean, backbone.pixel_std
    expected = oracle.two_streams(backbone, images, mean, std, wide)
    found = backbone(images)
    assert len(found) == len(expected) == 2
    assert [tuple(f.shape) for f in found] == list(backbone.compute_output_shape(shape))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
        assert np.abs(other).max() > 0.1


def changes(backbone, variables):
    """Returns whether each feature depends on variables."""
    before = [np.asarray(feature) for feature in backbone(IMAGES)]
    for variable in variables:
        variable.assign_add(keras.random.normal(variable.shape, stddev=0.3, seed=5))
    after = [np.asarray(feature) for feature in backbone(IMAGES)]
    return [bool((a != b).any()) for a, b in zip(before, after, strict=True)]


@pytest.mark.parametrize("separate", [False, True])
def test_separate_streams_share_the_stem_alone(separate):
    def of(backbone, parts):
        return [w for w in backbone.weights if set(w.path.split("/")) & parts]

    streams = {"conv_block", "first", "second"}, {"transformer_block", "transformer"}
    for number, parts in enumerate(streams):
        backbone = small_semiformer(separate=separate, depths=(2, 1))
        oracle.disturb(backbone)
        expected = [True, True]
        expected[1 - number] = not separate
        assert changes(backbone, of(backbone, parts)) == expected
    assert changes(backbone, of(backbone, {"stem"})) == [True, True]


@pytest.mark.parametrize(
    ("options", "matters"),
    [
        ({"separate": True}, False),
        ({}, True),
        ({"separate": True, "position_embedding": "learned"}, True),
        ({"separate": True, "position_embedding": "sincos"}, True),
    ],
)
def test_the_order_of_tokens_matters_by_positions_or_the_map_alone(options, matters):
    """Squares of the stem's map are exchanged before they become tokens."""
    backbone = small_semiformer(image_size=16, patch_size=4, **options)
    oracle.disturb(backbone)
    images = np.random.default_rng(3).uniform(0, 255, (2, 16, 16, 1)).astype("float32")
    expected = np.asarray(backbone(images)[1])
    embed, order = backbone.patch_embedding.call, np.random.default_rng(0).permutation
    places = order(16)
    backbone.patch_embedding.call = lambda x: keras.ops.take(embed(x), places, axis=1)
    found = np.asarray(backbone(images)[1])
    assert (np.abs(found - expected).max() > 1e-3) == matters
    if not matters:
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_drop_path_grows_linearly_over_the_transformer_blocks_alone():
    backbone = unallocated("semiformer_small", drop_path=0.1)
    blocks = [backbone.transformer_block, *(b.transformer for b in backbone.blocks)]
    rates = [block.drop_path for block in blocks]
    np.testing.assert_allclose(rates, np.linspace(0, 0.1, 12))
    kinds = [type(layer).__name__ for layer in backbone._flatten_layers()]
    drawing = [
        layer
        for layer in backbone._flatten_layers()
        if type(layer).__name__ == "DropPath" and layer.rate > 0
    ]
    assert len(drawing) == 2 * 11 and kinds.count("Bottleneck") == 23


def test_inference_is_deterministic_and_training_is_not():
    backbone = small_semiformer(drop_path=0.5)
    for training, differs in ((False, False), (True, True)):
        first, second = (backbone(IMAGES, training=training)[1] for _ in range(2))
        assert (np.abs(np.asarray(first - second)).max() > 1e-3) == differs


def test_a_stream_of_conv_mixer_keeps_its_size():
    options = {"depths": (3,), "widths": (10,), "stem_stride": 2, "image_size": 16}
    backbone = small_semiformer(conv_stream="conv_mixer", **options)
    maps, tokens = shapes(backbone)
    assert maps == [(8, 8, 10)] * 4 and tokens == (17, 12)
    images = np.zeros((2, 16, 16, 1), "float32")
    assert [f.shape for f in backbone(images)] == [(2, 10), (2, 12)]
    with pytest.raises(ValueError, match=r"one stage. Received: depths=\(1, 1\)"):
        small_semiformer(conv_stream="conv_mixer")


def test_images_of_another_size_are_accepted():
    backbone = small_semiformer(position_embedding="learned")
    features = backbone(np.zeros((2, 16, 8, 1), "float32"))
    assert [tuple(feature.shape) for feature in features] == [(2, 16), (2, 12)]


@pytest.mark.parametrize("build", [small_conformer, small_semiformer])
def test_layer_groups_are_the_stem_and_each_block(build):
    backbone = build(depths=(2, 1))
    groups = backbone.layer_groups()
    names = [{variable.path.split("/")[1] for variable in group} for group in groups]
    assert names == [
        {"class_token", "stem", "patch_embedding"},
        {"conv_block", "transformer_block"},
        *({"block2"}, {"block3"}),
    ]
    grouped = {id(variable) for group in groups for variable in group}
    rest = [v.path for v in backbone.trainable_variables if id(v) not in grouped]
    assert sorted(path.split("/", 1)[1] for path in rest) == ["norm/beta", "norm/gamma"]


def test_gradients_reach_all_weights_but_the_bias_before_a_norm():
    backbone = small_semiformer(position_embedding="learned")
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_sum(f**3) for f in backbone(IMAGES, training=True))
    variables = backbone.trainable_variables
    gradients = tape.gradient(loss, variables)
    still = [
        v.path
        for g, v in zip(gradients, variables, strict=True)
        if not np.abs(g).max() > 1e-6 and not v.path.endswith("qkv/bias")
    ]
    assert set(still) <= {"semiformer/block2/up/project/conv/bias"}
    assert len(variables) > 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 10}, r"a multiple of 4. Received: image_size=\(10, 10\)"),
        ({"patch_size": 2}, "stem and all stages, 4. Received: patch_size=2"),
        ({"heads": 5}, "`heads` should divide the width"),
        ({"widths": (8,)}, "one positive integer per stage"),
        ({"conv_stream": "vgg"}, "Received: conv_stream='vgg'"),
    ],
)
def test_wrong_sizes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_semiformer(**options)
