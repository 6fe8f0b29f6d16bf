"""DINOv2's networks: sizes, and features equal to NumPy's."""

import keras
import numpy as np
import pytest

from semivit_tf.backbones import VIT_SIZES, ViT, create_backbone
from semivit_tf.backbones.kept_values import kept_values
from semivit_tf.layers.gated_feed_forward import gated_width
from semivit_tf.methods.masked_autoencoder import MaskedAutoencoder
from tests.backbones.plain_dinov2 import official, shaken, tokens
from tests.methods.small import small_vit

# With registers or not, gated or not.
KINDS = {
    "plain": {},
    "registers": {"registers": 3},
    "gated": {"feed_forward": "swiglu", "mlp_ratio": 3.0},
    "gated with registers": {"feed_forward": "swiglu", "registers": 4},
}


def small(image_size=(12, 20), **options):
    sizes = {"patch_size": 4, "width": 16, "depth": 2, "heads": 2}
    dinov2 = {"layer_scale": 1.0, "position_resizing": "dinov2"}
    return shaken(ViT(image_size, pooling="class_token", **sizes, **dinov2, **options))


def noise(height, width, count=2):
    return np.random.default_rng(1).uniform(0, 255, (count, height, width, 3))


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("size", [(12, 20), (24, 12), (8, 28)])
def test_class_token_equals_numpy(options, size):
    """Also where the table is resized: up in one direction and down in another."""
    model, images = small(**options), noise(*size)
    expected = tokens(official(model), images, 2, (3, 5))
    assert (
        expected.shape[1] == 1 + options.get("registers", 0) + size[0] * size[1] // 16
    )
    np.testing.assert_allclose(model(images), expected[:, 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_all_tokens_equal_numpy(options):
    model, images = small(**options), noise(12, 20)
    found = model.prepend_class_token(model.patch_tokens(images))
    found = model.norm(model.transform(found))
    expected = tokens(official(model), images, 2, (3, 5))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_mean_is_of_patches_alone():
    model, images = small(registers=3), noise(12, 20)
    other = ViT(**{**model.get_config(), "pooling": "mean", "name": "mean"})
    other.set_weights(model.get_weights())
    found = model.transform(model.prepend_class_token(model.patch_tokens(images)))
    expected = model.norm(keras.ops.mean(found[:, 4:], axis=1))
    np.testing.assert_allclose(other(images), expected, rtol=1e-5, atol=1e-5)
    assert model.class_attention(images).shape == (2, 2, 15)


def test_published_sizes():
    """With 37 x 37 + 1 positions; counted by hand for the giant: 1.137 billion."""
    for name, heads, depth, width in (
        ("small", 6, 12, 384),
        ("base", 12, 12, 768),
        ("large", 16, 24, 1024),
        ("giant", 24, 40, 1536),
    ):
        sizes = VIT_SIZES[f"vit_{name}_patch14"]
        assert (sizes["heads"], sizes["depth"], sizes["width"]) == (heads, depth, width)
    assert gated_width(4 * 1536) == 4096 and gated_width(64) == 48
    model = create_backbone("vit_small_patch14", image_size=518, depth=1, registers=4)
    assert model.grid == (37, 37) and model.pooling == "class_token"
    block = 12 * 384**2 + (9 + 4 + 2) * 384
    embedding = (588 + 1 + 1 + 4 + 1370) * 384
    assert model.count_params() == embedding + block + 2 * 384


def test_the_giant_is_gated():
    model = create_backbone("vit_giant_patch14", image_size=14, depth=1)
    block = model.blocks[0]
    assert block.mlp.expand.kernel.shape == (1536, 8192)
    assert block.mlp.contract.kernel.shape == (4096, 1536)
    np.testing.assert_array_equal(block.scale1, np.ones(1536))


def test_factors_of_zero_leave_the_tokens_alone():
    model = small(registers=2)
    for block in model.blocks:
        block.scale1.assign(np.zeros(16))
        block.scale2.assign(np.zeros(16))
    before = model.prepend_class_token(model.patch_tokens(noise(12, 20)))
    np.testing.assert_array_equal(model.transform(before), before)


def test_registers_learn_with_the_embedding_and_do_not_reach_the_decoder():
    model = small_vit(registers=2, layer_scale=0.1)
    assert any(v is model.register_tokens for v in model.layer_groups()[0])
    sizes = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    autoencoder = MaskedAutoencoder(model, mask_ratio=0.5, **sizes)
    images = noise(8, 8)[..., :1]
    shuffle, restore = autoencoder.fixed_order(images)
    assert autoencoder.encode(images, shuffle).shape == (2, 3, 16)
    assert autoencoder(images, shuffle, restore).shape == (2, 4, 16)
    alone = small_vit(layer_scale=0.1)
    tokens_each = 16 * (18 + 2)
    assert kept_values(alone) == 5 * tokens_each + 2 * 2 * 5**2
    assert kept_values(model) == 7 * tokens_each + 2 * 2 * 7**2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"registers": -1}, "`registers` should be 0 or more. Received: registers=-1"),
        ({"layer_scale": 0.0}, "`layer_scale` should be positive"),
        ({"feed_forward": "relu"}, "feed_forward='relu'"),
        (
            {"position_resizing": "no"},
            "dinov2, plain. Received: position_resizing='no'",
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_vit(**options)
