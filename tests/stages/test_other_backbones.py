"""The command line with networks other than ViTs."""

import json
import sys

import keras
import pytest
import tensorflow as tf

from semivit_tf.cli import main
from semivit_tf.config import Config
from semivit_tf.stages.run import Run
from semivit_tf.training.weight_files import read_arrays
from tests.methods.small import hub_preset

SHORT = [
    "--preset=published",
    "--labels_per_class=2",
    "--validation_per_class=1",
    "--stages=finetune,semi_finetune,evaluate,export",
    "--finetune_epochs=2",
    "--finetune_batch_size=20",
    "--finetune_warmup_epochs=0",
    "--semi_epochs=1",
    "--semi_batch_size=20",
    "--semi_unlabeled_per_labeled=10",
    "--semi_warmup_epochs=0",
    "--semi_threshold=0",
]
CONVNEXT = ["--backbone=convnext", "--depths=1,1", "--widths=8,12", "--stem_patch=2"]
MOBILENET = ["--backbone=keras_applications:MobileNet", "--image_size=32"]
# What a network without drop path and layer groups needs.
FLAT = [
    "--finetune_drop_path=0",
    "--finetune_layer_decay=1",
    "--semi_drop_path=0",
    "--semi_layer_decay=1",
]


def run(*flags):
    return main(["main.py", *SHORT, *flags])


def error(capsys, *flags):
    """Returns the line of a run that should be refused."""
    assert run(*flags) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def check_finished(folder):
    """All stages left their files; returns the names of the weights."""
    results = json.loads((folder / "evaluation.json").read_text())["results"]
    assert [result["images"] for result in results] == [359] * 6
    assert (folder / "export" / "1" / "saved_model.pb").exists()
    return check_trained(folder)


def check_trained(folder):
    """The teacher is another than the student; returns the names of the weights."""
    lines = (folder / "semi_finetune" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["kept"] == 1.0
    student, teacher = (
        read_arrays(folder / "semi_finetune" / "weights" / f"{who}.safetensors")[0]
        for who in ("student", "teacher")
    )
    assert set(student) == set(teacher)
    moved = [name for name in student if (student[name] != teacher[name]).any()]
    assert len(moved) > 10
    return set(student)


def test_convnext_goes_through_all_stages(tmp_path):
    assert run(f"--workdir={tmp_path}", *CONVNEXT) == 0
    names = check_finished(tmp_path)
    assert {"convnext/stem/kernel", "convnext/stage1_block0/scale"} <= names


def test_a_saved_model_goes_through_all_stages(tmp_path, capsys):
    """Its batch norm, too; a file that brings code is refused before anything runs."""
    images = keras.Input((8, 8, 1))
    features = keras.layers.Rescaling(1 / 255)(images)
    features = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(features)
    features = keras.layers.BatchNormalization()(features)
    features = keras.layers.Conv2D(8, 3, activation="relu")(features)
    features = keras.layers.BatchNormalization()(features)
    keras.Model(images, features).save(tmp_path / "company.keras")
    saved = f"--backbone=keras:{tmp_path / 'company.keras'}"
    assert run(f"--workdir={tmp_path / 'run'}", saved, *FLAT) == 0
    names = check_finished(tmp_path / "run")
    assert names == {
        *(f"adapted_network/{number:05d}" for number in range(11)),
        *("head/kernel", "head/bias"),
    }
    first, last = (
        read_arrays(tmp_path / "run" / stage / "weights" / "student.safetensors")[0]
        for stage in ("finetune", "semi_finetune")
    )
    for number, start in ((3, 0.0), (4, 1.0)):  # moving mean and variance
        found = [arrays[f"adapted_network/{number:05d}"] for arrays in (first, last)]
        assert (found[0] != start).all() and (found[1] != found[0]).all()

    layers = [images, keras.layers.Lambda(lambda x: x), keras.layers.Flatten()]
    keras.Sequential(layers).save(tmp_path / "other.keras")
    capsys.readouterr()
    other = f"--backbone=keras:{tmp_path / 'other.keras'}"
    line = error(capsys, f"--workdir={tmp_path / 'other'}", other, *FLAT)
    assert line.endswith("Received: Lambda of the module keras.layers")


def test_a_network_of_keras_applications_is_trained(tmp_path):
    """Later stages see a network of Keras, as above: here it takes long to build."""
    flags = [*MOBILENET, *FLAT, "--stages=finetune", "--validation_per_class=0"]
    assert run(f"--workdir={tmp_path}", *flags, "--finetune_epochs=1") == 0
    names = set(read_arrays(tmp_path / "finetune/weights/student.safetensors")[0])
    assert {"adapted_network/00000", "adapted_network/00134", "head/kernel"} <= names


def test_a_preset_of_keras_hub_is_trained_and_teaches(tmp_path):
    pytest.importorskip("keras_hub")
    preset = hub_preset(tmp_path / "preset", scale=1 / 127.5, offset=-1.0)
    flags = [f"--backbone=keras_hub:{preset}", *FLAT, "--validation_per_class=0"]
    flags.append("--stages=finetune,semi_finetune")
    assert run(f"--workdir={tmp_path / 'run'}", *flags) == 0
    assert {"adapted_network/00000", "head/kernel"} <= check_trained(tmp_path / "run")


def test_a_preset_that_is_not_there_is_one_line(tmp_path, capsys):
    pytest.importorskip("keras_hub")
    flags = ["--backbone=keras_hub:absent", *FLAT, f"--workdir={tmp_path / 'run'}"]
    assert "Unknown preset identifier" in error(capsys, *flags)
    assert not (tmp_path / "run").exists()


def test_keras_hub_is_asked_for_when_it_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    flags = ["--backbone=keras_hub:any", *FLAT, f"--workdir={tmp_path}"]
    assert 'pip install "keras-hub>=0.32,<0.33"' in error(capsys, *flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            [*CONVNEXT, "--stages=pretrain"],
            "--stages=pretrain with --pretrain_method=mae needs a ViT. "
            "Received: --backbone=convnext",
        ),
        ([*CONVNEXT, "--heads=2"], "Received: heads=2"),
        ([*CONVNEXT, "--position_embedding=sincos"], "position_embedding='sincos'"),
        ([*CONVNEXT, "--stem_patch=3"], "`image_size` should be a multiple of"),
        (["--backbone=convnext", "--depths=1,1"], "also needs --widths"),
        ([*CONVNEXT, "--depths=1,x"], "--depths should be positive whole numbers"),
        ([*CONVNEXT, "--depths=1"], "one positive integer per stage"),
        (["--backbone=convnext_tiny"], "multiple of the product of the strides"),
        (["--backbone=vit_small_patch16", "--depths=1,1"], "Received: depths=(1, 1)"),
        (
            [*MOBILENET, *FLAT[:2]],
            "--backbone=keras_applications:MobileNet has no drop path and no groups of "
            "layers, so it needs --semi_drop_path=0 --semi_layer_decay=1",
        ),
        ([*MOBILENET, *FLAT, "--image_size=8"], "Input size must be at least 32x32"),
        ([*MOBILENET, *FLAT, "--patch_size=2"], "Received: patch_size=2"),
        ([*MOBILENET, *FLAT, "--stages=pretrain"], "needs a ViT. Received: --backbone"),
        (
            ["--backbone=keras_applications:MobileNets", *FLAT],
            "Received: 'MobileNets'",
        ),
    ],
)
def test_flags_that_do_not_fit_the_network_are_one_line(
    flags, message, tmp_path, capsys
):
    folder = tmp_path / "run"
    assert message in error(capsys, f"--workdir={folder}", *flags)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("backbone", "compiled"),
    [("vit_base_patch16", True), ("convnext_tiny", False)],
)
def test_only_vits_are_compiled_by_xla_unless_asked(backbone, compiled):
    for xla, expected in (("auto", compiled), ("on", True), ("off", False)):
        config = Config.from_flags({"backbone": backbone, "xla": xla})
        assert Run(config, None, None, None).compiles_by_xla() == expected


NARROW = {"backbone": "vit", "patch_size": 2, "width": 64, "depth": 1, "heads": 4}
VIT, HALF = {"backbone": "vit_base_patch16"}, {"precision": "mixed_bfloat16"}
SPREAD = {"strategy": "mirrored"}


@pytest.mark.parametrize(
    ("device", "flags", "expected"),
    [
        # With no images to leave out; where it may leave some out; where it has to.
        ("CPU", VIT, (True, False, False)),
        ("CPU", NARROW, (True, True, False)),
        ("CPU", {**VIT, **HALF}, (False, False, False)),
        ("CPU", {**NARROW, **SPREAD}, (False, False, False)),
        ("GPU", VIT, (True, True, False)),
        ("GPU", NARROW, (True, True, False)),
        ("GPU", {**VIT, **HALF}, (False, False, False)),
        ("GPU", {**VIT, **SPREAD}, (False, False, False)),
        ("GPU", {**VIT, "deterministic": True}, (False, False, False)),
        ("TPU", {**VIT, "strategy": "tpu"}, (False, False, False)),
    ],
)
def test_what_xla_compiles_depends_on_the_device(device, flags, expected, monkeypatch):
    """As `auto` chooses; all that a TPU does is compiled without being asked."""
    devices = {device: [None], "CPU": [None]}
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: devices.get(kind, [])
    )
    run = Run(Config.from_flags(flags), None, None, None)
    found = tuple(run.compiles_by_xla(gated) for gated in (False, "auto", True))
    assert found == expected


def test_a_step_that_leaves_images_out_is_compiled_by_xla_only_if_asked():
    """Where a ViT is wide, on a processor; `--semi_gated=on` excludes XLA anywhere."""
    for xla, expected in (("auto", False), ("on", True), ("off", False)):
        for network in ({"backbone": "vit_small_patch16"}, NARROW):
            run = Run(Config.from_flags({**network, "xla": xla}), None, None, None)
            wide = network is not NARROW
            assert run.compiles_by_xla(True) == expected
            assert run.compiles_by_xla("auto") == (expected if wide else xla != "off")
            assert run.compiles_by_xla(False) == (xla != "off")
