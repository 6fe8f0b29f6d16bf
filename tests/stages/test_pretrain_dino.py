"""Self-distillation through the command line, and what its stage builds."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from semivit_tf.config import Config
from semivit_tf.stages import pretrain_dino
from semivit_tf.training.save_checkpoints import SaveCheckpoints
from semivit_tf.training.weight_files import save_weights
from tests.stages.runs import DINO, TINY, error, prepared, run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of all stages but the export."""
    folder = tmp_path_factory.mktemp("runs") / "dino"
    stages = "--stages=pretrain,finetune,semi_finetune,evaluate"
    flags = [f"--workdir={folder}", "--validation_per_class=1", stages]
    assert run(*DINO, *flags) == 0
    return folder


# Fine-tuning that changes nothing.
STILL = ["--finetune_base_learning_rate=0", "--finetune_minimum_learning_rate=0"]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A folder in which pre-training is finished, and the model that it left."""
    folder = tmp_path_factory.mktemp("runs") / "pretrained"
    seen = []
    kept = pretrain_dino.kept
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            pretrain_dino, "kept", lambda model: (seen.append(model), kept(model))[1]
        )
        flags = [*DINO, *STILL, f"--workdir={folder}", "--stages=pretrain"]
        assert run(*flags) == 0
    return folder, seen[0]


def test_all_stages_run_from_the_teachers_backbone(finished):
    assert json.loads((finished / "pretrain" / "DONE").read_text())["method"] == "dino"
    lines = (finished / "pretrain" / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["step"] == 2 * (1438 - 10) // 100
    for name in ("loss", "teacher_entropy", "view_divergence", "val_loss"):
        assert np.isfinite(last[name])
    results = json.loads((finished / "evaluation.json").read_text())["results"]
    assert [(r["stage"], r["weights"], r["checkpoint"]) for r in results] == [
        ("finetune", "student", "last"),
        ("finetune", "student", "best"),
        ("semi_finetune", "student", "last"),
        ("semi_finetune", "student", "best"),
        ("semi_finetune", "teacher", "last"),
        ("semi_finetune", "teacher", "best"),
    ]


def test_the_encoder_is_the_teachers(pretrained):
    folder, model = pretrained
    saved = load_file(folder / "pretrain" / "weights" / "encoder.safetensors")
    table = saved["positions/position_table"]
    np.testing.assert_array_equal(table, model.teacher_backbone.positions.table)
    assert np.abs(table - model.student_backbone.positions.table).max() > 1e-6


def test_student_and_teacher_start_from_a_file(tmp_path, monkeypatch):
    """Nothing moves them: no rate, no decay, and a teacher that keeps all it has."""
    sizes = {"patch_size": 4, "width": 8, "depth": 1, "heads": 2}
    prepared_run = prepared(tmp_path / "source", **sizes)
    source = pretrain_dino.encoder(prepared_run, prepared_run.config.pretrain_method)
    save_weights(source, tmp_path / "source.safetensors", normalized="tokens")
    seen = []
    kept = pretrain_dino.kept
    monkeypatch.setattr(
        pretrain_dino, "kept", lambda model: (seen.append(model), kept(model))[1]
    )
    still = (
        "base_learning_rate minimum_learning_rate weight_decay dino_weight_decay_end"
    )
    flags = [f"--pretrain_{name}=0" for name in still.split()]
    flags += ["--pretrain_dino_teacher_momentum=1", "--pretrain_epochs=1"]
    flags += [f"--init_from={tmp_path / 'source.safetensors'}", "--stages=pretrain"]
    assert run(*DINO, *flags, f"--workdir={tmp_path / 'run'}") == 0
    file = load_file(tmp_path / "source.safetensors")
    encoder = load_file(tmp_path / "run/pretrain/weights/encoder.safetensors")
    assert encoder.keys() == file.keys() and len(file) > 12
    for name, array in file.items():
        np.testing.assert_array_equal(encoder[name], array)
    student = seen[0].student_backbone
    for weight, own in zip(student.weights, source.weights, strict=True):
        np.testing.assert_array_equal(weight, own)


def test_finetuning_starts_from_the_encoder(pretrained, tmp_path):
    shutil.copytree(pretrained[0], tmp_path, dirs_exist_ok=True)
    flags = [*DINO, *STILL, f"--workdir={tmp_path}", "--stages=finetune"]
    assert run(*flags) == 0
    encoder = load_file(tmp_path / "pretrain/weights/encoder.safetensors")
    student = load_file(tmp_path / "finetune/weights/student.safetensors")
    compared = 0
    for name, array in encoder.items():
        if not name.startswith("norm/"):  # of averaged features, which is new
            np.testing.assert_array_equal(student[f"vit/{name}"], array)
            compared += 1
    assert compared > 12


def test_a_stopped_run_goes_on_as_if_it_had_not_been(pretrained, tmp_path, monkeypatch):
    flags = [*DINO, "--stages=pretrain", "--checkpoint_seconds=0"]
    flags += [f"--workdir={tmp_path}"]
    save = SaveCheckpoints.on_epoch_end

    def save_and_stop(self, epoch, logs=None):
        save(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SaveCheckpoints, "on_epoch_end", save_and_stop)
        assert run(*flags) == 130
    assert not (tmp_path / "pretrain" / "DONE").exists()
    assert run(*flags) == 0
    whole, again = (
        load_file(folder / "pretrain" / "weights" / "encoder.safetensors")
        for folder in (pretrained[0], tmp_path)
    )
    assert len(whole) > 12
    for name, array in whole.items():
        np.testing.assert_allclose(again[name], array, rtol=1e-4, atol=1e-6)


def test_schedules_follow_the_flags(tmp_path):
    flags = {
        "pretrain_epochs": 20,
        "pretrain_batch_size": 128,
        "pretrain_dino_outputs": 16,
        "pretrain_dino_warmup_teacher_temperature": 0.04,
        "pretrain_dino_teacher_temperature": 0.07,
        "pretrain_dino_temperature_warmup_epochs": 4,
        "pretrain_dino_frozen_epochs": 2,
        "pretrain_dino_initialization": "xavier_uniform",
        "pretrain_dino_crops": "none",
    }
    prepared_run = prepared(tmp_path, **flags)
    steps = 1438 // 128
    chosen = prepared_run.config.pretrain_method
    model = pretrain_dino.network(prepared_run, chosen, steps)
    assert model.frozen_updates == 2 * steps
    temperatures = [
        float(model.teacher_temperature(steps * epoch)) for epoch in range(6)
    ]
    expected = [0.04, 0.05, 0.06, 0.07, 0.07, 0.07]
    np.testing.assert_allclose(temperatures, expected, rtol=1e-5)
    assert model.student_backbone.pooling == "class_token"
    assert model.student_backbone.position_embedding == "learned"
    assert model.student_backbone.drop_path == 0.1
    assert model.student_backbone.initialization == "xavier_uniform"

    optimizer = pretrain_dino.optimizer(
        prepared_run, prepared_run.config.pretrain, chosen, model, steps
    )
    rates = [float(optimizer._learning_rate(s)) for s in (0, 10 * steps, 20 * steps)]
    np.testing.assert_allclose(rates, [0, 2.5e-4, 1e-6], rtol=1e-4)  # 5e-4 * 128 / 256
    decays = [float(optimizer.weight_decay(s)) for s in (0, 10 * steps, 20 * steps)]
    np.testing.assert_allclose(decays, [0.04, 0.22, 0.4], rtol=1e-5)
    assert optimizer.clipnorm == 3.0
    assert (optimizer.beta_1, optimizer.beta_2) == (0.9, 0.999)
    named = zip(model.trainable_variables, optimizer.decayed, strict=True)
    decayed = {variable.path for variable, decays in named if decays}
    assert {"vit/class_token", "vit/positions/position_table"} <= decayed
    assert not any(path.endswith(("bias", "gamma", "beta")) for path in decayed)
    (teacher,) = pretrain_dino.callbacks(chosen, 20 * steps)
    momenta = [float(teacher.momentum_at(s)) for s in (0, 10 * steps, 20 * steps)]
    np.testing.assert_allclose(momenta, [0.996, 0.998, 1.0], rtol=1e-6)
    settings = prepared_run.config.pretrain
    stream = pretrain_dino.stream(prepared_run, settings, chosen, model, 0, (0, 1))
    batch = next(iter(stream))
    np.testing.assert_array_equal(batch["global"][:, 0], batch["global"][:, 1])
    assert batch["local"].shape == (128, 8, 4, 4, 1)  # 3.4 pixels in patches of 2


def test_defaults_are_the_methods_own():
    mae = Config.from_flags({"backbone": "vit_base_patch16"}).pretrain
    dino = Config.from_flags(
        {"backbone": "vit_base_patch16", "pretrain_method": "dino"}
    ).pretrain
    names = (
        "epochs base_learning_rate minimum_learning_rate warmup_epochs weight_decay"
    ).split()
    assert [getattr(mae, name) for name in names] == [400, 1.5e-4, 0, 40, 0.05]
    assert [getattr(dino, name) for name in names] == [
        100,
        5e-4,
        1e-6,
        10,
        0.04,
    ]
    given = Config.from_flags(
        {
            "backbone": "vit_base_patch16",
            "pretrain_method": "dino",
            "pretrain_epochs": 7,
            "pretrain_warmup_epochs": 0.0,
        }
    )
    assert (given.pretrain.epochs, given.pretrain.warmup_epochs) == (7, 0.0)
    assert Config.from_json(given.to_json()) == given
    assert json.loads(given.to_json())["pretrain_weight_decay"] == 0.04


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--pretrain_method=simclr"], "--pretrain_method should be one of: mae, dino"),
        (
            ["--pretrain_dino_local_size=6"],
            "--pretrain_dino_local_size should be a multiple of the patch size 4. "
            "Received: 6",
        ),
        (["--pretrain_dino_drop_path=1"], "`drop_path` should be in [0, 1)"),
        (
            ["--pretrain_dino_student_temperature=0"],
            "--pretrain_dino_student_temperature should be at least 0.001",
        ),
        (["--pretrain_dino_teacher_momentum=2"], "should be at most 1.0"),
        (
            ["--pretrain_epochs=9", "--pretrain_warmup_epochs=10"],
            "--pretrain_warmup_epochs should be at most --pretrain_epochs=9",
        ),
    ],
)
def test_wrong_input_is_one_line_and_code_2(flags, message, tmp_path, capsys):
    folder = tmp_path / "run"
    assert message in error(capsys, *DINO, f"--workdir={folder}", *flags)
    assert not folder.exists()


def test_mirrored_bfloat16_runs(start, tmp_path):
    flags = [*TINY, *DINO, "--stages=pretrain", f"--workdir={tmp_path}"]
    flags += ["--strategy=mirrored", "--logical_cpus=2", "--precision=mixed_bfloat16"]
    process = start(*flags)
    _, errors = process.communicate()
    assert process.returncode == 0 and "Traceback" not in errors, errors
    lines = (tmp_path / "pretrain" / "metrics.jsonl").read_text().splitlines()
    assert 0 < json.loads(lines[-1])["loss"] < 20
