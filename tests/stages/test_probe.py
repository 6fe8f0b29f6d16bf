"""Features are probed, and runs start from files of weights."""

import json

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression

from semivit_tf.methods.classifier import Classifier
from semivit_tf.stages.pretrain import evenly
from semivit_tf.stages.probe import measure
from semivit_tf.training.weight_files import load_weights, read_arrays, save_weights
from semivit_tf.weights import save_timm
from tests.methods.small import small_vit
from tests.stages.runs import DINO, error, run


def tiny_vit(**options):
    """The backbone of `TINY`."""
    return small_vit(width=8, depth=1, heads=2, **options)


@pytest.fixture(scope="module", params=[[], DINO], ids=["mae", "dino"])
def probed(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "probed"
    flags = [f"--workdir={folder}", "--probe_labels=all", *request.param]
    assert run(*flags, "--stages=pretrain,probe") == 0
    return folder


def test_the_probe_says_whose_features_and_how_many_labels(probed, capsys):
    content = json.loads((probed / "probe.json").read_text())
    assert content["weights"] in ("pretrain mae", "pretrain dino")
    assert (content["labels_used"], content["part"], content["images"]) == (
        1438,
        "test",
        359,
    )
    assert set(content["nearest_neighbors"]) == {"10", "20", "100", "200"}
    # Eight numbers a digit, hardly trained: far above chance, though.
    assert content["linear"]["accuracy"] > 0.3
    again = [f"--workdir={probed}", "--probe_labels=labeled", "--stages=probe"]
    again += DINO if content["weights"].endswith("dino") else []
    assert run(*again) == 0
    assert " 20 " in capsys.readouterr().out
    content = json.loads((probed / "probe.json").read_text())
    assert content["labels_used"] == 20
    assert set(content["nearest_neighbors"]) == {"10"}


def test_features_are_watched_while_they_are_learned(probed):
    lines = (probed / "pretrain" / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    names = [name for name in last if name.endswith("knn_accuracy")]
    assert names in (["encoder_knn_accuracy"], ["teacher_knn_accuracy"])
    assert 0 <= last[names[0]] <= 1
    pictures = sorted(p.name for p in (probed / "pretrain" / "pictures").iterdir())
    assert pictures == ["epoch-00001.png", "epoch-00002.png"]


def test_what_is_watched_comes_from_everywhere():
    indices = np.arange(100, 200)
    assert evenly(indices, 100) is indices
    assert evenly(indices, 4).tolist() == [100, 133, 166, 199]


def test_measures_are_those_of_scikit_learn_on_separate_classes():
    generator = np.random.default_rng(0)
    labels, truth = np.arange(120) % 3, np.arange(60) % 3
    centres = 2.0 * generator.normal(size=(3, 5))
    known = centres[labels] + generator.normal(size=(120, 5))
    queries = centres[truth] + generator.normal(size=(60, 5))
    found, classes = measure(known, labels, queries, truth, 3)
    assert set(found["nearest_neighbors"]) == {"10", "20", "100"}
    assert found["linear"]["accuracy"] == np.mean(classes == truth)
    theirs = LogisticRegression(max_iter=1000).fit(known, labels)
    assert abs(found["linear"]["accuracy"] - theirs.score(queries, truth)) <= 2 / 60


# === --init_from ===


def test_an_untrained_network_or_a_file_can_be_probed(tmp_path):
    assert run(f"--workdir={tmp_path / 'none'}", "--stages=probe") == 0
    content = json.loads((tmp_path / "none" / "probe.json").read_text())
    assert content["weights"] == "untrained"
    save_timm(tiny_vit(), tmp_path / "vit.safetensors")
    flags = [f"--workdir={tmp_path / 'file'}", "--stages=probe"]
    assert run(*flags, f"--init_from={tmp_path / 'vit.safetensors'}") == 0
    content = json.loads((tmp_path / "file" / "probe.json").read_text())
    assert content["weights"] == str(tmp_path / "vit.safetensors")


def test_fine_tuning_starts_from_a_file(tmp_path, capsys):
    source = tiny_vit()
    save_timm(source, tmp_path / "vit.safetensors")
    flags = [
        f"--init_from={tmp_path / 'vit.safetensors'}",
        "--stages=finetune",
        "--finetune_base_learning_rate=0",
        "--finetune_minimum_learning_rate=0",
        "--finetune_weight_decay=0",
    ]
    assert run(*flags, f"--workdir={tmp_path / 'run'}") == 0
    assert "weights loaded from" in capsys.readouterr().out
    arrays, _ = read_arrays(tmp_path / "run/finetune/weights/student.safetensors")
    kernel = arrays["vit/block0/attention/qkv/kernel"]
    np.testing.assert_array_equal(kernel, source.blocks[0].attention.qkv.kernel)


def test_what_a_file_lacks_or_has_too_much_is_allowed_by_flags(tmp_path, capsys):
    file = tmp_path / "vit.safetensors"
    save_timm(tiny_vit(), file)
    arrays = load_file(file)
    del arrays["blocks.0.attn.qkv.bias"]
    save_file({**arrays, "strange": np.zeros(2, "float32")}, file)
    flags = [
        "--stages=probe",
        f"--init_from={file}",
        f"--workdir={tmp_path / 'run'}",
        "--init_source_grid=2,2",
        "--init_network=whole",
    ]
    assert "--init_network" in error(capsys, *flags)
    del flags[-1]
    assert "--init_allow_missing" in error(capsys, *flags)
    flags.append("--init_allow_missing")
    assert "--init_allow_unexpected" in error(capsys, *flags)
    assert run(*flags, "--init_allow_unexpected") == 0
    output = capsys.readouterr().out
    assert "missing: block0/attention/qkv/bias\nunexpected: strange" in output
    for flag in ("--init_allow_missing", "--init_network=model"):
        line = error(capsys, "--stages=probe", f"--workdir={tmp_path / 'no'}", flag)
        assert "needs --init_from" in line
    assert "should be rows and columns" in error(
        capsys, *flags[:3], "--init_source_grid=4"
    )


def test_stage_three_starts_from_a_fine_tuned_file(finetuned, tmp_path):
    file = finetuned / "finetune" / "weights" / "student.safetensors"
    flags = [
        f"--init_from={file}",
        "--stages=semi_finetune",
        "--semi_ema_momentum=1",
    ]
    assert run(*flags, f"--workdir={tmp_path / 'second'}") == 0
    teacher = tmp_path / "second/semi_finetune/weights/teacher.safetensors"
    before, after = read_arrays(file)[0], read_arrays(teacher)[0]
    assert set(before) == set(after)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)


def test_a_fine_tuned_file_is_tested_and_served(finetuned, tmp_path, capsys):
    """Trained here, saved in timm's names, and answered for elsewhere alike."""
    folder, other = finetuned, tmp_path / "second"
    assert run(f"--workdir={folder}", "--stages=evaluate") == 0
    (trained,) = json.loads((folder / "evaluation.json").read_text())["results"]
    network = Classifier(tiny_vit(), 10)
    load_weights(network, folder / "finetune" / "weights" / "student.safetensors")
    save_timm(network, tmp_path / "ours.safetensors")

    flags = [f"--workdir={other}", f"--init_from={tmp_path / 'ours.safetensors'}"]
    assert run(*flags, "--stages=evaluate,export") == 0
    assert "init_from  ours.safetensors  unknown" in capsys.readouterr().out
    (found,) = json.loads((other / "evaluation.json").read_text())["results"]
    assert found["labels_used"] is None
    for measure_ in ("accuracy", "macro_f1"):
        assert found[measure_] == pytest.approx(trained[measure_], abs=1e-12)
    served = tf.saved_model.load(str(other / "export" / "1"))
    images = tf.random.stateless_uniform((2, 8, 8, 1), [0, 1], 0.0, 255.0)
    answer = served.signatures["serving_default"](images=images)
    expected = tf.nn.softmax(network(images))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)

    line = error(capsys, *flags, "--stages=export", "--export_weights=teacher")
    assert "--export_weights=teacher" in line


def test_pre_training_goes_on_from_an_encoder(tmp_path):
    source = tiny_vit(position_embedding="sincos")
    save_weights(source, tmp_path / "encoder.safetensors")
    flags = [
        f"--init_from={tmp_path / 'encoder.safetensors'}",
        "--stages=pretrain",
        "--pretrain_base_learning_rate=0",
        "--pretrain_weight_decay=0",
    ]
    assert run(*flags, f"--workdir={tmp_path / 'run'}") == 0
    encoder = tiny_vit(position_embedding="sincos")
    load_weights(encoder, tmp_path / "run/pretrain/weights/encoder.safetensors")
    for ours, theirs in zip(encoder.weights, source.weights, strict=True):
        if not ours.path.startswith("vit/norm"):  # made for the mean, not for tokens
            np.testing.assert_array_equal(ours, theirs, ours.path)


def test_a_file_that_does_not_fit_is_refused_at_once(tmp_path, capsys):
    save_timm(small_vit(), tmp_path / "wide.safetensors")
    (tmp_path / "text.pth").write_text("not weights")
    for name in ("wide.safetensors", "text.pth", "none.pth"):
        line = error(
            capsys,
            f"--init_from={tmp_path / name}",
            f"--workdir={tmp_path / 'run'}",
            "--stages=finetune",
        )
        assert name in line
    assert not (tmp_path / "run").exists()
