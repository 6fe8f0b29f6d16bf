"""Files of DINOv2, by each project's names, in ours: the answers are NumPy's."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.mae import MAE
from semivit_tf.training.weight_files import save_weights
from semivit_tf.weights import WeightsError, load_published, save_timm
from tests.backbones.plain_dinov2 import official, shaken, tokens
from tests.weights.small import snapshot, unchanged, vit

DINOV2 = {"layer_scale": 1.0, "position_resizing": "dinov2"}
KINDS = {
    "plain": {},
    "registers": {"registers": 3},
    "gated with registers": {"registers": 2, "feed_forward": "swiglu"},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def dinov2(**options):
    return shaken(vit(**{**DINOV2, **options}))


def fresh(**options):
    return vit(**{**DINOV2, **options})


def renamed(arrays, *pairs):
    found = {}
    for name, array in arrays.items():
        for before, after in pairs:
            name = name.replace(before, after)
        found[name] = array
    return found


def as_timm(arrays):
    """Registers have a class token whose position is added already."""
    arrays = renamed(arrays, ("mlp.w12", "mlp.fc1"), ("mlp.w3", "mlp.fc2"))
    arrays.pop("mask_token")
    if "register_tokens" in arrays:
        table = arrays["pos_embed"]
        arrays["reg_token"] = arrays.pop("register_tokens")
        arrays["cls_token"] = arrays["cls_token"] + table[:, :1]
        arrays["pos_embed"] = np.ascontiguousarray(table[:, 1:])
    return arrays


def as_transformers(arrays, wrapper=""):
    found = {}
    for name, array in arrays.items():
        if ".qkv." not in name:
            found[name] = array
            continue
        words = ("query", "key", "value")
        for word, part in zip(words, np.split(array, 3), strict=True):
            found[name.replace("attn.qkv", f"attention.attention.{word}")] = part
    pairs = {
        "attn.proj": "attention.output.dense",
        "ls1.gamma": "layer_scale1.lambda1",
        "ls2.gamma": "layer_scale2.lambda1",
        "mlp.w12": "mlp.weights_in",
        "mlp.w3": "mlp.weights_out",
        "blocks": "encoder.layer",
        "cls_token": "embeddings.cls_token",
        "mask_token": "embeddings.mask_token",
        "register_tokens": "embeddings.register_tokens",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
    }
    found = renamed(found, *pairs.items())
    for part in ("weight", "bias"):
        found[f"layernorm.{part}"] = found.pop(f"norm.{part}")
    return {f"{wrapper}{name}": array for name, array in found.items()}


SPELLINGS = {
    "official": lambda arrays: arrays,
    "teacher": lambda arrays: {f"backbone.{n}": x for n, x in arrays.items()},
    "Dinov2": as_transformers,
    "Dinov2 classifier": lambda arrays: as_transformers(arrays, "dinov2."),
    "Dinov2WithRegisters classifier": lambda arrays: as_transformers(
        arrays, "dinov2_with_registers."
    ),
}


@every_kind
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_weight_comes_back_bit_for_bit(tmp_path, kind, spelling):
    source, target = dinov2(**kind), fresh(**kind)
    arrays = SPELLINGS[spelling](official(source))
    save_file(arrays, tmp_path / "file")
    coverage = load_published(target, tmp_path / "file")
    unchanged(target, snapshot(source))
    assert len(coverage.loaded) == len(target.weights) and not coverage.fresh
    (dropped,) = coverage.dropped.items()
    assert dropped[0].endswith("mask_token") and "pre-training" in dropped[1]


@every_kind
@pytest.mark.parametrize("image_size", [16, (8, 24)])
def test_timm_s_files_give_the_same_answers(tmp_path, kind, image_size):
    """At the size of the file and at another."""
    source, target = dinov2(**kind), fresh(**kind, image_size=image_size)
    save_file(as_timm(official(source)), tmp_path / "file")
    coverage = load_published(target, tmp_path / "file")
    assert len(coverage.loaded) == len(target.weights) and not coverage.dropped
    images = np.random.default_rng(1).uniform(0, 255, (2, *target.image_shape))
    expected = tokens(official(source), images, 2, (4, 4))[:, 0]
    np.testing.assert_allclose(target(images), expected, rtol=1e-4, atol=1e-4)
    # Its table has no row for the class token where there are registers.
    assert bool(coverage.resized) == (image_size != 16 or "registers" in kind)


@every_kind
def test_timm_gets_its_own_names(tmp_path, kind):
    source = dinov2(**kind)
    save_timm(source, tmp_path / "file")
    found, wanted = load_file(tmp_path / "file"), as_timm(official(source))
    assert found.keys() == wanted.keys() and len(found) > 30
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_the_mean_of_patches_has_a_norm_of_its_own(tmp_path):
    save_file(official(dinov2()), tmp_path / "file")
    coverage = load_published(fresh(pooling="mean"), tmp_path / "file")
    assert set(coverage.fresh) == {"norm/gamma", "norm/beta"}
    assert {"norm.weight", "norm.bias"} < set(coverage.dropped)


# === Fewer blocks ===


@pytest.mark.parametrize("spelling", ["official", "Dinov2", "ours"])
def test_the_first_blocks_of_a_deeper_network_are_kept(tmp_path, spelling):
    source, target = dinov2(depth=3), fresh(depth=1)
    if spelling == "ours":
        save_weights(source, tmp_path / "file")
    else:
        save_file(SPELLINGS[spelling](official(source)), tmp_path / "file")
    coverage = load_published(target, tmp_path / "file")
    kept = {n: x for n, x in official(source).items() if "s.1" not in n}
    kept = {n: x for n, x in kept.items() if "s.2" not in n}
    images = np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 3))
    expected = tokens(kept, images, 2, (4, 4))[:, 0]
    np.testing.assert_allclose(target(images), expected, rtol=1e-4, atol=1e-4)
    reason = "the model has the first 1 blocks only"
    parts = 6 if spelling == "Dinov2" else 2  # of qkv
    cut = [name for name, why in coverage.dropped.items() if why == reason]
    assert len(cut) == 2 * (12 + parts) and not coverage.unexpected
    assert reason in coverage.describe()


def test_a_head_on_later_blocks_is_left_out(tmp_path):
    save_timm(Classifier(dinov2(depth=3), 3), tmp_path / "file")
    model = Classifier(fresh(), 3)
    coverage = load_published(model, tmp_path / "file")
    reason = "the head was trained on features of later blocks"
    assert coverage.fresh == dict.fromkeys(("head/kernel", "head/bias"), reason)
    with pytest.raises(WeightsError, match=f"cannot be kept: {reason}"):
        load_published(model, tmp_path / "file", head="keep")


# === Heads, decoders and refusals ===


def test_heads_of_pre_training_and_of_evaluation_are_left_out(tmp_path):
    source, target = dinov2(), fresh()
    arrays = {f"backbone.{name}": array for name, array in official(source).items()}
    for head in ("dino_head.mlp.0.bias", "ibot_head.last_layer.weight_g"):
        arrays[head] = np.zeros(3, "float32")
    arrays["linear_head.weight"] = np.zeros((3, 32), "float32")
    save_file(arrays, tmp_path / "file")
    assert len(load_published(target, tmp_path / "file").dropped) == 4
    unchanged(target, snapshot(source))


def test_a_masked_autoencoder_goes_on_without_the_mask_token(tmp_path):
    sizes = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    source = dinov2(registers=2)
    model = MAE(fresh(registers=2), **sizes)
    save_file(official(source), tmp_path / "file")
    coverage = load_published(model, tmp_path / "file", allow_missing=("decoder/",))
    assert "mask_token" in coverage.dropped
    unchanged(model.backbone, snapshot(source))
    save_timm(model, tmp_path / "whole")
    again = MAE(fresh(registers=2), **sizes)
    assert "decoder/mask_token" in load_published(again, tmp_path / "whole").loaded


@pytest.mark.parametrize(
    ("written", "read", "message"),
    [
        (
            {"registers": 4},
            {},
            r"has register tokens \(register_tokens\): `registers`, --registers, sho",
        ),
        (
            {"registers": 4},
            {"registers": 3},
            r"register_tokens should fit register_tokens of shape \(3, 16\). Received",
        ),
        ({}, {"registers": 4}, "1 weights of the model are missing: register_tokens"),
        (
            {},
            {"layer_scale": None},
            r"have layer scale \(blocks.0.ls1.gamma\).* such as vit_small_patch14 does",
        ),
    ],
)
def test_a_network_of_another_kind_is_refused(tmp_path, written, read, message):
    save_file(official(dinov2(**written)), tmp_path / "file")
    target = fresh(**read)
    before = snapshot(target)
    with pytest.raises(WeightsError, match=message) as caught:
        load_published(target, tmp_path / "file")
    assert "\n" not in str(caught.value)
    unchanged(target, before)


def test_a_layout_that_nobody_knows_is_told_what_was_expected(tmp_path):
    names = ("visual.conv1.weight", "visual.transformer.resblocks.0.ln_1.bias")
    save_file({name: np.zeros(3, "float32") for name in names}, tmp_path / "file")
    with pytest.raises(WeightsError) as caught:
        load_published(fresh(), tmp_path / "file")
    line = str(caught.value)
    assert "\n" not in line and "Received: visual.conv1.weight, visual." in line
    for known in (
        "blocks.0.norm1.weight",
        "Transformer/encoderblock_0/",
        "encoder.layer.0.attention.attention.query.weight",
    ):
        assert known in line
