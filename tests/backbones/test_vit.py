"""The Vision Transformer: published sizes, features, and images of another size."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.backbones import VIT_SIZES, ViT, create_backbone
from tests.methods.small import small_vit

# With a head for 1,000 classes, as published with the weights.
PUBLISHED = {
    "vit_small_patch16": 22_050_664,
    "vit_base_patch16": 86_567_656,
    "vit_large_patch16": 304_326_632,
    "vit_huge_patch14": 632_045_800,
}


def closed_form(patch_size, width, depth, image_size=224, pooling=None, heads=None):
    """Counts the weights of a ViT without its head, from its sizes."""
    embedding = patch_size**2 * 3 * width + width
    tokens = (image_size // patch_size) ** 2 + 1
    block = 12 * width**2 + 13 * width
    return embedding + width + tokens * width + depth * block + 2 * width


@pytest.mark.parametrize("name", ["vit_small_patch16", "vit_base_patch16"])
@pytest.mark.parametrize("pooling", ["mean", "class_token"])
def test_built_networks_have_the_published_number_of_weights(name, pooling):
    backbone = create_backbone(name, pooling=pooling)
    head = 1000 * backbone.width + 1000
    assert backbone.count_params() + head == PUBLISHED[name]


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_sizes_give_the_published_number_of_weights(name):
    """Without building them: the formula is the one that the built ones confirm."""
    size = VIT_SIZES[name]
    head = 1000 * size["width"] + 1000
    assert closed_form(**size) + head == PUBLISHED[name]


def test_the_closed_form_is_that_of_a_built_network():
    backbone = create_backbone("vit_large_patch16", depth=2, image_size=64)
    assert backbone.count_params() == closed_form(16, 1024, 2, image_size=64)
    assert backbone.image_shape == (64, 64, 3)


def test_features_equal_the_parts_put_together():
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 1)).astype("float32")
    for pooling in ("mean", "class_token"):
        vit = small_vit(pooling=pooling, depth=2)
        tokens = vit.transform(vit.prepend_class_token(vit.patch_tokens(images)))
        tokens = np.asarray(tokens)
        assert tokens.shape == (2, 5, 16)
        chosen = tokens[:, 0] if pooling == "class_token" else tokens[:, 1:].mean(1)
        expected = (chosen - chosen.mean(-1, keepdims=True)) / np.sqrt(
            chosen.var(-1, keepdims=True) + 1e-6
        )
        np.testing.assert_allclose(vit(images), expected, rtol=1e-4, atol=1e-4)


def test_uint8_and_float_pixels_are_the_same_image():
    vit = small_vit(depth=2)
    images = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 1)).astype("uint8")
    np.testing.assert_array_equal(vit(images), vit(images.astype("float32")))


def test_class_token_and_its_position_stand_in_front():
    vit = small_vit(depth=2)
    tokens = vit.prepend_class_token(keras.ops.zeros((3, 4, 16)))
    expected = vit.class_token.numpy() + vit.positions.table.numpy()[:1]
    np.testing.assert_allclose(tokens[:, 0], np.repeat(expected, 3, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(tokens[:, 1:], 0)


def test_images_of_another_size_use_resized_positions():
    vit = small_vit(depth=2)
    assert vit(np.zeros((2, 12, 16, 1), "float32")).shape == (2, 16)
    assert vit.patch_tokens(np.zeros((2, 12, 16, 1), "float32")).shape == (2, 12, 16)


def test_layer_groups_cover_embedding_and_blocks():
    vit = small_vit(depth=2)
    groups = vit.layer_groups()
    assert len(groups) == 1 + vit.depth
    assert {v.name for v in groups[0]} == {
        "class_token",
        "position_table",
        "kernel",
        "bias",
    }
    grouped = {id(variable) for group in groups for variable in group}
    rest = [v.path for v in vit.trainable_variables if id(v) not in grouped]
    assert rest == ["vit/norm/gamma", "vit/norm/beta"]


def test_drop_path_grows_linearly():
    vit = small_vit(depth=3, drop_path=0.4)
    np.testing.assert_allclose([block.drop_path for block in vit.blocks], [0, 0.2, 0.4])


def test_xavier_start_sees_the_patch_kernel_as_a_matrix():
    vit = ViT(64, 16, 64, 1, 2, initialization="xavier_uniform")
    bound = np.sqrt(6 / (16 * 16 * 3 + 64))
    kernel = np.abs(vit.patch_embedding.kernel.numpy()).max()
    assert 0.99 * bound < kernel <= bound
    np.testing.assert_array_equal(vit.patch_embedding.bias.numpy(), 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_size": 3}, "`patch_size` should divide `image_size`"),
        ({"heads": 3}, "`heads` should divide `width`"),
        ({"pooling": "max"}, "pooling='max'"),
        ({"initialization": "zeros"}, "initialization='zeros'"),
    ],
)
def test_wrong_sizes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_vit(**options)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="vit_base_patch16.*Received: name='vit_tiny'"):
        create_backbone("vit_tiny")


def test_the_class_token_attends_to_all_patches_and_itself():
    model = small_vit(depth=2)
    images = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype("float32")
    attention = np.asarray(model.class_attention(images))
    assert attention.shape == (3, 2, 4) and attention.min() > 0
    assert (attention.sum(axis=-1) < 1).all()  # the rest is for itself
    # By hand, from the last block's kernel.
    tokens = model.prepend_class_token(model.patch_tokens(images))
    last = model.blocks[-1]
    tokens = np.asarray(last.norm1(model.blocks[0](tokens)))
    qkv = tokens @ last.attention.qkv.kernel.numpy() + last.attention.qkv.bias.numpy()
    query, key = (qkv[..., part * 16 : part * 16 + 16] for part in (0, 1))
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        scores = np.einsum("bd,bnd->bn", query[:, 0, part], key[..., part]) / 8**0.5
        weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(attention[:, head], weights[:, 1:], rtol=1e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_blocks_computed_twice_give_the_same_gradients(jit_compile):
    """Their drop path, too: it is drawn once."""
    images = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 1)).astype("float32")
    found = []
    for rematerialize in (False, True):
        keras.utils.set_random_seed(0)
        model = small_vit(drop_path=0.4, rematerialize=rematerialize)

        @tf.function(jit_compile=jit_compile)
        def gradients(images, model=model):
            with tf.GradientTape() as tape:
                features = model(images, training=True)
                loss = tf.reduce_sum(features * tf.range(16.0))
            return tape.gradient(loss, model.trainable_variables)

        found.append([np.asarray(gradient) for gradient in gradients(images)])
        assert model.get_config()["rematerialize"] == rematerialize
    assert len(found[0]) == len(found[1]) > 20
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4)
    assert max(np.abs(gradient).max() for gradient in found[0]) > 1.0


def test_a_network_starts_with_the_published_deviation():
    weights = ViT(32, 4, 64, 1, 2, initialization="truncated_normal")
    for weight in (weights.positions.table, weights.blocks[0].mlp.expand.kernel):
        assert np.std(weight) == pytest.approx(0.02, rel=0.03)
