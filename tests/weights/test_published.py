"""Published files in models of ours: the answers are PyTorch's."""

import dataclasses
import types

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from semivit_tf.layers.position_embedding import resize_position_grid
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.training.weight_files import save_weights, weight_names
from semivit_tf.weights import Coverage, WeightsError, load_published
from semivit_tf.weights.checkpoint_file import WHOLE
from semivit_tf.weights.dialect import Place
from semivit_tf.weights.layouts import TOKENS
from semivit_tf.weights.matching import read
from semivit_tf.weights.network import describe
from semivit_tf.weights.stored_array import StoredArray
from tests.weights.files import FIXTURES, arrays_of, expected
from tests.weights.small import classifier, mae, snapshot, unchanged, vit


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


# === Answers ===


@pytest.mark.parametrize(
    "file, pooling, source",
    [
        ("vit_token.pth", "class_token", "model"),
        ("vit_token.npz", "class_token", WHOLE),
        ("vit_mean.safetensors", "mean", WHOLE),
        ("vit_mean.legacy.pth", "mean", WHOLE),
    ],
)
def test_features_and_logits_equal_timm(file, pooling, source):
    numbers, name = expected(), file.split(".")[0]
    model = classifier(pooling)
    coverage = load_published(model, FIXTURES / file)
    close(model.backbone(numbers["images_16"]), numbers[f"{name}_features"])
    close(model(numbers["images_16"]), numbers[f"{name}_logits"])
    assert coverage.source == source and len(coverage.loaded) == len(model.weights)
    assert not coverage.resized and not coverage.dropped and not coverage.fresh
    assert not coverage.missing and not coverage.unexpected


@pytest.mark.parametrize(
    "file, pooling",
    [
        ("vit_token.pth", "class_token"),
        ("vit_token.npz", "class_token"),
        ("vit_mean.safetensors", "mean"),
    ],
)
def test_logits_with_resized_positions_equal_pytorch(file, pooling):
    numbers, name = expected(), file.split(".")[0]
    model = classifier(pooling, 24)
    coverage = load_published(model, FIXTURES / file)
    close(model(numbers["images_24"]), numbers[f"{name}_logits_24"])
    assert coverage.resized == {"positions/position_table": ((17, 16), (37, 16))}


def test_mae_has_the_published_loss():
    numbers, model = expected(), mae()
    coverage = load_published(model, FIXTURES / "mae.pth")
    shuffle = numbers["mae_shuffle"]
    loss = model.autoencoder.reconstruction_loss(
        numbers["images_16"], shuffle, np.argsort(shuffle, axis=1)
    )
    np.testing.assert_allclose(loss, numbers["mae_loss"], rtol=1e-4)
    assert set(coverage.loaded) >= {"decoder/mask_token", "norm/gamma"}
    assert len(coverage.loaded) == len(model.weights)


@pytest.mark.parametrize("network", ["auto", "teacher", "student"])
def test_dino_gives_the_teacher_unless_told(network):
    numbers, model = expected(), classifier()
    coverage = load_published(model, FIXTURES / "dino.pth", network=network)
    name = "teacher" if network == "auto" else network
    close(model.backbone(numbers["images_16"]), numbers[f"dino_{name}_features"])
    assert coverage.source == name
    assert {n.split("head.")[1] for n in coverage.dropped} == {
        *("mlp.0.weight", "mlp.0.bias", "last_layer.weight_g")
    }
    assert set(coverage.fresh.values()) == {"the file has no whole head"}


@pytest.mark.parametrize(
    "network, name",
    [("auto", "semi_vit_ema"), ("model_ema", "semi_vit_ema"), ("model", "vit_mean")],
)
def test_semi_vit_gives_the_average_unless_told(network, name):
    numbers, model = expected(), classifier("mean")
    coverage = load_published(model, FIXTURES / "semi_vit.pth", network=network)
    close(model(numbers["images_16"]), numbers[f"{name}_logits"])
    assert coverage.source == ("model" if network == "model" else "model_ema")


def test_student_and_teacher_get_network_and_average():
    numbers, model = expected(), SemiViT(vit("mean"), 3)
    coverage = load_published(model, FIXTURES / "semi_vit.pth")
    close(model.student(numbers["images_16"]), numbers["vit_mean_logits"])
    close(model.teacher(numbers["images_16"]), numbers["semi_vit_ema_logits"])
    assert coverage.source == "student: model, teacher: model_ema"
    assert len(coverage.loaded) == 64 == len(model.weights)
    assert coverage.loaded["student/head/bias"] == ("module.head.bias",)
    labels = np.asarray(model(numbers["images_16"])).argmax(axis=1)
    np.testing.assert_array_equal(labels, numbers["semi_vit_ema_logits"].argmax(1))


def test_student_and_teacher_get_the_same_where_there_is_one():
    model = SemiViT(vit("mean"), 3)
    for file, options, source in (
        ("vit_mean.safetensors", {}, WHOLE),
        ("semi_vit.pth", {"network": "model_ema"}, "model_ema"),
    ):
        coverage = load_published(model, FIXTURES / file, **options)
        assert coverage.source == f"student: {source}, teacher: {source}"
        pairs = zip(model.student.weights, model.teacher.weights, strict=True)
        for student, teacher in pairs:
            np.testing.assert_array_equal(student, teacher)


def test_every_replica_gets_the_weights(mirrored):
    with mirrored.scope():
        model = classifier()
        load_published(model, FIXTURES / "vit_token.pth")
    copies = mirrored.experimental_local_results(model.head.kernel.value)
    assert len(copies) == 2
    for copy in copies:
        np.testing.assert_array_equal(copy, arrays_of("vit_token.npz")["head/kernel"])


# === Other spellings of the same weights ===


def split(arrays, words, place="attn"):
    """Splits the fused projections into three."""
    found = {}
    for name, array in arrays.items():
        if ".qkv." in name:
            for word, part in zip(words, np.split(array, 3), strict=True):
                there = name.replace("attn.qkv", f"{place}.{word}")
                found[there] = np.ascontiguousarray(part)
        else:
            found[name] = array
    return found


def as_transformers(arrays, wrapper="vit"):
    """Renames timm's weights to those of Hugging Face's transformers."""
    arrays = split(arrays, ("query", "key", "value"), "attention.attention")
    found = {}
    for name, array in arrays.items():
        for before, after in (
            ("cls_token", "embeddings.cls_token"),
            ("pos_embed", "embeddings.position_embeddings"),
            ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
            ("attn.proj", "attention.output.dense"),
            ("mlp.fc1", "intermediate.dense"),
            ("mlp.fc2", "output.dense"),
            ("norm1", "layernorm_before"),
            ("norm2", "layernorm_after"),
            ("blocks", "encoder.layer"),
            ("head", "classifier"),
        ):
            name = name.replace(before, after)
        name = f"layernorm.{name[5:]}" if name.startswith("norm.") else name
        found[name if name.startswith("classifier") else f"{wrapper}.{name}"] = array
    return found


SPELLINGS = {
    "q, k, v": lambda arrays: split(arrays, "qkv"),
    "q_proj": lambda arrays: split(arrays, ("q_proj", "k_proj", "v_proj")),
    "query": lambda arrays: split(arrays, ("query", "key", "value")),
    "transformers": as_transformers,
    "transformers' DeiT": lambda arrays: as_transformers(arrays, "deit"),
    "wrapped": lambda arrays: {f"module.backbone.{n}": x for n, x in arrays.items()},
    "compiled": lambda arrays: {f"_orig_mod.{n}": x for n, x in arrays.items()},
    "half": lambda arrays: {n: x.astype("float16") for n, x in arrays.items()},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spellings_give_the_same_answers(tmp_path, spelling):
    numbers, model = expected(), classifier()
    arrays = SPELLINGS[spelling](arrays_of("vit_token.pth"))
    save_file(arrays, tmp_path / "file")
    coverage = load_published(model, tmp_path / "file")
    tolerance = 0.02 if spelling == "half" else 1e-4
    wanted = numbers["vit_token_logits"]
    np.testing.assert_allclose(
        model(numbers["images_16"]), wanted, rtol=tolerance, atol=tolerance
    )
    assert len(coverage.loaded) == 32 == len(model.weights)
    if spelling == "q_proj":
        names = [f"blocks.1.attn.{letter}_proj.bias" for letter in "qkv"]
        assert coverage.loaded["block1/attention/qkv/bias"] == tuple(names)
    if spelling == "transformers' DeiT":
        assert coverage.loaded["class_token"] == ("deit.embeddings.cls_token",)
        assert coverage.loaded["head/bias"] == ("classifier.bias",)


def test_the_jax_release_renumbered(tmp_path):
    """Its successor counts layers of each kind by themselves."""
    numbers, model = expected(), classifier()
    arrays = {}
    for name, array in arrays_of("vit_token.npz").items():
        for before, after in (
            ("LayerNorm_2", "LayerNorm_1"),
            ("MultiHeadDotProductAttention_1", "MultiHeadDotProductAttention_0"),
            ("MlpBlock_3", "MlpBlock_0"),
            ("Transformer/posembed_input/", ""),
        ):
            name = name.replace(before, after)
        arrays[f"params/{name}"] = array
    np.savez(tmp_path / "file.npz", **arrays)
    load_published(model, tmp_path / "file.npz")
    close(model(numbers["images_16"]), numbers["vit_token_logits"])


def test_projections_neither_whole_nor_in_three_are_refused(tmp_path):
    arrays = arrays_of("vit_token.pth")
    both = {**arrays, **split(arrays, "qkv")}
    two = {n: x for n, x in split(arrays, "qkv").items() if ".k." not in n}
    twice = {**split(arrays, "qkv"), **split(arrays, ("query", "key", "value"))}
    for found, message in (
        (both, "whole or in three parts"),
        (two, "whole or in three parts"),
        (twice, "should be in the file once"),
    ):
        save_file(found, tmp_path / "file")
        with pytest.raises(WeightsError, match=f"qkv.* {message}"):
            load_published(classifier(), tmp_path / "file")


# === Heads and norms ===


def test_a_head_of_other_classes_is_left_out():
    model = classifier(classes=5)
    before = model.head.kernel.numpy()
    coverage = load_published(model, FIXTURES / "vit_token.pth")
    assert coverage.dropped == dict.fromkeys(
        ("head.weight", "head.bias"), coverage.dropped["head.bias"]
    )
    assert list(coverage.fresh) == ["head/kernel", "head/bias"]
    np.testing.assert_array_equal(model.head.kernel, before)
    close(model.backbone(expected()["images_16"]), expected()["vit_token_features"])
    with pytest.raises(
        WeightsError, match=r"head.weight should fit head/kernel of .*5"
    ):
        load_published(model, FIXTURES / "vit_token.pth", head="keep")


def test_a_head_is_left_out_when_asked():
    model = classifier()
    before = model.head.kernel.numpy()
    coverage = load_published(model, FIXTURES / "vit_token.pth", head="drop")
    assert set(coverage.dropped) == {"head.weight", "head.bias"}
    np.testing.assert_array_equal(model.head.kernel, before)
    with pytest.raises(WeightsError, match="2 weights of the model are missing: head"):
        load_published(model, FIXTURES / "dino.pth", head="keep")
    with pytest.raises(WeightsError, match='`head` should not be "keep"'):
        load_published(vit(), FIXTURES / "vit_token.pth", head="keep")
    with pytest.raises(WeightsError, match="`head` should be one of.*'yes'"):
        load_published(model, FIXTURES / "vit_token.pth", head="yes")


def test_a_backbone_alone_needs_no_head():
    backbone = vit()
    coverage = load_published(backbone, FIXTURES / "vit_token.pth")
    assert coverage.dropped["head.bias"] == "the model has no linear head"
    close(backbone(expected()["images_16"]), expected()["vit_token_features"])


@pytest.mark.parametrize("file", ["mae.pth", "dino.pth", "vit_token.npz"])
def test_the_norm_of_tokens_is_not_the_norm_of_their_mean(file):
    model = classifier("mean")
    model.backbone.norm.gamma.assign(np.arange(16.0))
    coverage = load_published(model, FIXTURES / file)
    assert {"norm/gamma", "norm/beta"} <= set(coverage.fresh)
    assert "it normalises tokens, the model's norm their mean" in (
        coverage.dropped.values()
    )
    np.testing.assert_array_equal(model.backbone.norm.gamma, np.arange(16.0))
    # A head of the same shape would get features that it never saw.
    assert {"head/kernel", "head/bias"} <= set(coverage.fresh)
    assert not coverage.missing


def test_mae_into_a_class_token_brings_its_norm():
    backbone = vit("class_token")
    coverage = load_published(backbone, FIXTURES / "mae.pth")
    norm = arrays_of("mae.pth")["norm.weight"]
    np.testing.assert_array_equal(backbone.norm.gamma, norm)
    reasons = set(coverage.dropped.values())
    assert reasons == {"the model has no decoder"} and not coverage.fresh


def test_a_norm_of_means_does_not_fit_tokens():
    message = "2 weights of the model are missing: norm/gamma, norm/beta"
    for model in (vit("class_token"), classifier("class_token")):
        with pytest.raises(WeightsError, match=message):
            load_published(model, FIXTURES / "vit_mean.safetensors")


def test_an_encoder_alone_has_no_decoder(tmp_path):
    arrays = arrays_of("mae.pth")
    arrays = {n: x for n, x in arrays.items() if not n.startswith(("deco", "mask"))}
    save_file(arrays, tmp_path / "file")
    assert not load_published(vit("mean"), tmp_path / "file").missing
    with pytest.raises(WeightsError, match="are missing: decoder/mask_token"):
        load_published(mae(), tmp_path / "file")
    model = mae()
    coverage = load_published(model, tmp_path / "file", allow_missing=True)
    assert len(coverage.missing) == len(model.decoder.weights)
    assert all(name.startswith("decoder/") for name in coverage.missing)


# === Our own files ===


def test_our_own_files_are_read_back(tmp_path):
    source, target = classifier("mean"), classifier("mean")
    source.set_weights([w + 1 for w in source.get_weights()])
    save_weights(source, tmp_path / "classifier")
    save_weights(source.backbone, tmp_path / "backbone")
    coverage = load_published(target, tmp_path / "classifier")
    unchanged(target, snapshot(source))
    assert coverage.loaded["norm/gamma"] == ("vit/norm/gamma",)
    assert set(coverage.loaded["head/bias"]) <= set(weight_names(source))
    backbone = vit("mean", name="other")
    assert len(load_published(backbone, tmp_path / "classifier").dropped) == 2
    unchanged(backbone, snapshot(source.backbone))
    fresh = load_published(target, tmp_path / "backbone", skip=("norm/",)).fresh
    assert list(fresh) == ["norm/gamma", "norm/beta", "head/kernel", "head/bias"]


def test_our_own_autoencoder_is_read_back(tmp_path):
    source, target = mae(), mae()
    source.set_weights([w + 1 for w in source.get_weights()])
    save_weights(source, tmp_path / "mae")
    load_published(target, tmp_path / "mae")
    unchanged(target, snapshot(source))
    backbone = vit("class_token")
    dropped = load_published(backbone, tmp_path / "mae").dropped
    assert set(dropped) == {n for n in weight_names(source) if n.startswith("decoder")}
    unchanged(backbone, snapshot(source.backbone))


def test_our_own_files_for_other_images_are_resized(tmp_path):
    source, target = classifier("mean"), classifier("mean", (8, 24))
    save_weights(source, tmp_path / "file")
    load_published(target, tmp_path / "file")
    wanted = resize_position_grid(
        source.backbone.positions.table.numpy()[1:], (4, 4), (2, 6)
    )
    close(target.backbone.positions.table[1:], wanted)


# === Refusals ===


def changed(tmp_path, **changes):
    """The weights of a class token's ViT, some of them changed or None."""
    arrays = arrays_of("vit_token.pth") | changes
    save_file({n: x for n, x in arrays.items() if x is not None}, tmp_path / "file")
    return tmp_path / "file"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"cls_token": None}, r"1 weights of the model are missing: class_token \("),
        ({"norm.bias": None, "cls_token": None}, "2 weights of the model are missing"),
        ({"new_token": np.zeros(3, "f4")}, "1 weights are unexpected: new_token"),
        ({"reg_token": np.zeros(3, "f4")}, r"it has register tokens \(reg_token\)"),
        ({"blocks.1.norm3.bias": np.zeros(3, "f4")}, "unexpected: blocks.1.norm3.bias"),
        ({"pre_logits.bias": np.zeros(3, "f4")}, "unexpected: pre_logits.bias"),
        ({"module.norm.bias": np.zeros(16, "f4")}, "Received twice: norm"),
        (
            {"norm.bias": np.zeros(17, "f4")},
            r"norm.bias should fit norm/beta of shape \(16,\). Received: \(17,\)",
        ),
        (
            {"cls_token": np.zeros((1, 16), "f4")},
            r"cls_token should fit class_token of shape \(1, 16\). Received: \(1, 16\)",
        ),
        ({"pos_embed": np.zeros((1, 17, 8), "f4")}, "pos_embed should fit positions"),
        ({"pos_embed": np.zeros((1, 0, 16), "f4")}, "pos_embed should fit positions"),
        ({"pos_embed": np.zeros((1, 15, 16), "f4")}, "--init_source_grid, should say"),
        (
            {"patch_embed.proj.weight": np.zeros((16, 3, 4, 2), "f4")},
            "square patches of 3 channels",
        ),
        ({"a\nb": np.zeros(3, "f4")}, "1 weights are unexpected: a b"),
        ({"norm.bias": np.zeros(16, "i4")}, "norm.bias: weights should be floats"),
        ({"norm.bias": np.full(16, np.nan, "f4")}, "norm.bias: weights should be fin"),
    ],
)
def test_nothing_is_assigned_when_something_does_not_fit(tmp_path, changes, message):
    model = classifier()
    before = snapshot(model)
    path = changed(tmp_path, **changes)
    with pytest.raises(WeightsError, match=f"^{path}: .*{message}") as caught:
        load_published(model, path)
    assert "\n" not in str(caught.value)
    unchanged(model, before)


def test_arrays_that_do_not_fit_are_never_read():
    def load():
        raise AssertionError("the array was read")

    network = describe(vit())
    for shape in ((1, 1, 2**40), (2**40, 1, 16), (1, 16)):
        place, array = Place("class_token", TOKENS), StoredArray(shape, load)
        with pytest.raises(
            WeightsError, match=r"a should fit class_token of shape \(1"
        ):
            read(network, "class_token", [(place, "a", array)])


def test_missing_and_unexpected_weights_may_be_allowed(tmp_path):
    model = classifier()
    before = model.backbone.class_token.numpy()
    path = changed(tmp_path, cls_token=None, new_token=np.zeros(3, "f4"))
    with pytest.raises(WeightsError, match="missing"):
        load_published(model, path, allow_unexpected=True)
    with pytest.raises(WeightsError, match="unexpected"):
        load_published(model, path, allow_missing=True)
    coverage = load_published(model, path, allow_missing=True, allow_unexpected=True)
    assert coverage.missing == ("class_token",)
    assert coverage.unexpected == ("new_token",)
    np.testing.assert_array_equal(model.backbone.class_token, before)


def distilled(arrays):
    """Weights of timm's distilled DeiT: one token more, and one head."""
    table = arrays["pos_embed"]
    return {
        **arrays,
        "dist_token": arrays["cls_token"],
        "pos_embed": np.concatenate([table[:, :1], table], axis=1),
        "head_dist.weight": arrays["head.weight"],
        "head_dist.bias": arrays["head.bias"],
    }


def distilled_in_transformers(arrays):
    """The same by the names of Hugging Face's transformers."""
    names = {
        "deit.dist_token": "deit.embeddings.distillation_token",
        "classifier_dist.weight": "distillation_classifier.weight",
        "classifier_dist.bias": "distillation_classifier.bias",
        "classifier.weight": "cls_classifier.weight",
        "classifier.bias": "cls_classifier.bias",
    }
    found = as_transformers(distilled(arrays), "deit")
    return {names.get(name, name): array for name, array in found.items()}


@pytest.mark.parametrize("options", [{}, {"allow_unexpected": True, "head": "drop"}])
@pytest.mark.parametrize(
    "spelled, token",
    [
        (distilled, "dist_token"),
        (distilled_in_transformers, "embeddings.distillation_token"),
    ],
)
def test_a_distilled_deit_is_refused_for_what_it_is(tmp_path, spelled, token, options):
    save_file(spelled(arrays_of("vit_token.pth")), tmp_path / "file")
    model = classifier()
    before = snapshot(model)
    message = rf"file: it is a distilled DeiT, with a token \({token}\) that the model"
    with pytest.raises(WeightsError, match=message):
        load_published(model, tmp_path / "file", **options)
    unchanged(model, before)


@pytest.mark.parametrize("grid", [4, (4,), (4, 0), (4, 4.0), "44", (2, 9)])
def test_a_grid_that_is_none_of_the_file_is_refused(grid):
    with pytest.raises(WeightsError, match="`source_grid`"):
        load_published(vit(), FIXTURES / "vit_token.pth", source_grid=grid)


def test_heads_that_are_not_linear_are_left_alone():
    """As those of self-distillation, on a student and a teacher."""
    student, teacher = (
        types.SimpleNamespace(backbone=vit(), head=object()) for _ in range(2)
    )
    model = types.SimpleNamespace(student=student, teacher=teacher)
    coverage = load_published(model, FIXTURES / "dino.pth")
    assert coverage.source == "student: teacher, teacher: teacher"
    features = expected()["dino_teacher_features"]
    for network in (student, teacher):
        close(network.backbone(expected()["images_16"]), features)


def test_a_student_that_fits_is_not_loaded_without_its_teacher(tmp_path):
    model = SemiViT(vit("mean", depth=3), 3)
    before = snapshot(model)
    with pytest.raises(
        WeightsError, match="12 weights of the model are missing: block2"
    ):
        load_published(model, FIXTURES / "semi_vit.pth")
    unchanged(model, before)


def test_other_networks_of_a_file_are_named():
    with pytest.raises(WeightsError, match="one of: model_ema, model. .*'teacher'"):
        load_published(vit("mean"), FIXTURES / "semi_vit.pth", network="teacher")


def test_weights_of_another_network_are_refused():
    with pytest.raises(WeightsError, match="none of its weights belongs to a ViT"):
        load_published(vit(), FIXTURES / "tensors.pth")


def test_models_without_a_known_backbone_are_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(
        WeightsError, match="should be a ViT or a Conv.*Received: Sequential"
    ):
        load_published(model, FIXTURES / "vit_token.pth")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(WeightsError, match="absent.pth does not exist"):
        load_published(vit(), tmp_path / "absent.pth")


# === The report ===


def test_the_report_reads_like_this():
    model = classifier("mean", 24, classes=5)
    coverage = load_published(model, FIXTURES / "vit_mean.safetensors")
    assert isinstance(coverage, Coverage)
    with pytest.raises(dataclasses.FrozenInstanceError):
        coverage.source = "other"
    assert coverage.describe().splitlines() == [
        f"30 weights loaded from {FIXTURES / 'vit_mean.safetensors'} (the whole file)",
        "resized: positions/position_table from (17, 16) to (37, 16)",
        "left out: head.weight, head.bias: the head is (16, 3), the model's (16, 5)",
        "as new: head/kernel, head/bias: the file's head has another shape",
    ]


def test_long_reports_are_cut():
    coverage = load_published(
        classifier("mean"), FIXTURES / "mae.pth", skip="block", allow_unexpected=True
    )
    lines = coverage.describe().splitlines()
    assert any(line.startswith("as new: block0/norm1/gamma") for line in lines)
    assert any(line.endswith("and 21 more: skipped, as asked") for line in lines)
    assert max(map(len, lines)) < 250


@pytest.mark.parametrize("file", ["vit_token.pth", "own"])
def test_a_head_does_not_go_with_features_of_another_kind(file, tmp_path):
    path = FIXTURES / file
    if file == "own":
        path = tmp_path / "own.safetensors"
        save_weights(classifier("class_token"), path)
    model = classifier("mean")
    before = snapshot(model)
    with pytest.raises(WeightsError, match="`pooling` should be that of the file"):
        load_published(model, path, head="keep")
    unchanged(model, before)
    coverage = load_published(model, path)
    assert set(coverage.fresh) == {
        "norm/gamma",
        "norm/beta",
        "head/kernel",
        "head/bias",
    }
    assert not coverage.missing and not coverage.unexpected


def test_our_encoders_say_what_was_normalised(tmp_path):
    source, path = mae(), tmp_path / "encoder.safetensors"
    source.backbone.norm.gamma.assign(np.arange(16.0))
    save_weights(source.backbone, path, normalized="tokens")
    for pooling, loaded in (("class_token", True), ("mean", False)):
        model = vit(pooling, position_embedding="sincos")
        coverage = load_published(model, path)
        assert ("norm/gamma" in coverage.loaded) is loaded
        assert np.array_equal(model.norm.gamma, np.arange(16.0)) is loaded


def test_only_what_may_be_missing_is_and_as_a_whole(tmp_path):
    path = tmp_path / "mae.safetensors"
    whole = arrays_of("mae.pth")
    decoder = [name for name in whole if name.startswith(("decoder", "mask_token"))]
    encoder = {name: whole[name] for name in whole if name not in decoder}

    def load(arrays):
        save_file(arrays, path)
        return load_published(mae(), path, allow_missing=("decoder/",))

    assert all(name.startswith("decoder/") for name in load(encoder).missing)
    assert not load(whole).missing
    with pytest.raises(WeightsError, match="weights of the model are missing: decoder"):
        load({**encoder, decoder[0]: whole[decoder[0]]})
    with pytest.raises(WeightsError, match="missing: block1/norm1/gamma"):
        load({name: encoder[name] for name in encoder if "blocks.1." not in name})


def test_names_in_a_file_do_not_reach_the_terminal_as_they_are(tmp_path):
    path, own = tmp_path / "names.safetensors", arrays_of("vit_token.pth")
    save_file({**own, "head_\x1b[2J": np.zeros(1, "f4")}, path)
    with pytest.raises(WeightsError, match=r"unexpected: head_\\x1b\[2J") as error:
        load_published(classifier(), path)
    assert "\x1b" not in str(error.value)
    report = load_published(classifier(), path, allow_unexpected=True).describe()
    assert r"head_\x1b[2J" in report and "\x1b" not in report


def test_tables_beyond_reason_are_not_read(tmp_path):
    path, own = tmp_path / "large.npz", arrays_of("vit_token.npz")
    table = np.zeros((1, 1 + 256 * 256, 16), "f4")
    np.savez_compressed(
        path, **{**own, "Transformer/posembed_input/pos_embedding": table}
    )
    assert path.stat().st_size < 200_000
    with pytest.raises(WeightsError, match="should fit positions/position_table"):
        load_published(classifier(), path)


def test_wrappers_are_taken_off_in_any_order(tmp_path):
    path, own = tmp_path / "wrapped.safetensors", arrays_of("vit_token.pth")
    for wrapper in ("_orig_mod.module.", "module._orig_mod.", "model.backbone."):
        save_file({wrapper + name: array for name, array in own.items()}, path)
        model = classifier()
        load_published(model, path)
        close(model(expected()["images_16"]), expected()["vit_token_logits"])
