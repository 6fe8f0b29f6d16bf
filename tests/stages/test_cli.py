"""The command line: help at once, all stages, wrong input in one line."""

import fcntl
import itertools
import json
import resource
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.cli import main
from semivit_tf.config.settings import InputError
from semivit_tf.stages.failures import one_line_errors
from tests.stages.runs import ROOT, TINY, error, run


def test_help_answers_within_a_second_and_without_tensorflow():
    def ask(*options):
        command = [sys.executable, *options, ROOT / "main.py", "--helpfull"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # The processor's, since other work may hold it up.
        taken = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return result, taken

    assert ask()[1] < 1.0
    result, _ = ask("-X", "importtime")
    lines = result.stdout.splitlines()
    assert "  --semi_threshold" in lines and max(map(len, lines)) <= 88
    follows = [line for before, line in itertools.pairwise(lines) if before[:1] == " "]
    assert len(follows) > 200 and all(line[:1] in ("", " ") for line in follows)
    assert "semivit_tf.cli" in result.stderr  # the list of imports is there
    assert "tensorflow" not in result.stderr
    assert "keras" not in result.stderr.replace("keras_cv", "")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of all stages."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    assert run(f"--workdir={folder}", "--validation_per_class=1") == 0
    return folder


def test_all_stages_leave_their_files(finished):
    names = {str(path.relative_to(finished)) for path in finished.rglob("*")}
    expected = {
        "config.json",
        "split.csv",
        "evaluation.json",
        "export/1/saved_model.pb",
        "pretrain/weights/encoder.safetensors",
        "finetune/weights/student.safetensors",
        "semi_finetune/weights/student.safetensors",
        "semi_finetune/weights/teacher.safetensors",
        "semi_finetune/weights/best/teacher.safetensors",
    }
    for stage in ("pretrain", "finetune", "semi_finetune"):
        expected |= {f"{stage}/DONE", f"{stage}/metrics.jsonl", f"{stage}/tensorboard"}
    assert expected <= names
    hidden = [name for name in names if "/." in name or name.startswith(".")]
    assert hidden == [".lock"]
    config = json.loads((finished / "config.json").read_text())
    assert config["flags"]["semi_threshold"] == 0
    assert config["versions"]["keras"]
    lines = (finished / "semi_finetune" / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["step"] == 2 * (1438 - 30) // 100 and last["kept"] == 1.0
    assert {"val_student_accuracy", "val_teacher_accuracy"} <= set(last)
    assert last["val_pseudo_label_coverage"] == 1.0  # the threshold is 0
    assert 0 < last["pseudo_label_classes"] <= 10 and last["collapsed"] in (0.0, 1.0)


def test_evaluation_states_whose_weights_and_how_many_labels(finished):
    results = json.loads((finished / "evaluation.json").read_text())["results"]
    assert [(r["stage"], r["weights"], r["checkpoint"]) for r in results] == [
        ("finetune", "student", "last"),
        ("finetune", "student", "best"),
        ("semi_finetune", "student", "last"),
        ("semi_finetune", "student", "best"),
        ("semi_finetune", "teacher", "last"),
        ("semi_finetune", "teacher", "best"),
    ]
    assert {
        (r["images"], r["labels_used"], r["validation_labels"]) for r in results
    } == {(359, 20, 10)}


def test_evaluation_says_how_good_pseudo_labels_are_on_validation_images(finished):
    results = json.loads((finished / "evaluation.json").read_text())["results"]
    lines = (finished / "semi_finetune/metrics.jsonl").read_text().splitlines()
    for row in results:
        of_teacher = row["stage"] == "semi_finetune"
        assert ("validation_pseudo_labels" in row) == of_teacher
    table = results[4]["validation_pseudo_labels"]  # of the last teacher
    assert [row["threshold"] for row in table][:2] == [0.0, 0.5]
    assert table[0]["coverage"] == 1.0
    assert sum(one["images"] for one in table[0]["classes"]) == 10
    last = json.loads(lines[-1])
    assert table[0]["precision"] == pytest.approx(last["val_teacher_accuracy"])
    assert last["val_pseudo_label_precision"] == pytest.approx(table[0]["precision"])


def test_the_same_command_skips_what_is_done(finished, capsys):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}
    assert run(f"--workdir={finished}", "--validation_per_class=1") == 0
    after = {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}
    assert before == after
    output = capsys.readouterr().out
    assert output.count("done before") == 4
    assert "labels used" in output


def test_another_config_in_a_used_folder_is_refused(finished, capsys):
    line = error(
        capsys,
        f"--workdir={finished}",
        "--validation_per_class=1",
        "--semi_threshold=0.5",
        "--seed=3",
    )
    assert "--semi_threshold=0.5 (was 0" in line and "--seed=3 (was 0)" in line
    assert "validation" not in line


def test_stages_one_by_one_and_stopped_end_like_all_at_once(
    finished, tmp_path, monkeypatch
):
    """Interrupted after the first epoch of the last stage, as by Ctrl-C."""
    from semivit_tf.training.metrics_log import MetricsLog

    real = MetricsLog.on_epoch_end

    def stop(self, epoch, logs=None):
        real(self, epoch, logs)
        if "semi_finetune" in str(self.path) and epoch == 1:
            raise KeyboardInterrupt

    flags = (
        f"--workdir={tmp_path}",
        "--validation_per_class=1",
        "--checkpoint_seconds=0",
    )
    last = "--stages=semi_finetune,evaluate"
    assert run(*flags, "--stages=pretrain") == run(*flags, "--stages=finetune") == 0
    with monkeypatch.context() as patched:
        patched.setattr(MetricsLog, "on_epoch_end", stop)
        assert run(*flags, last) == 130
    assert not (tmp_path / "semi_finetune" / "DONE").exists()
    assert run(*flags, last) == 0
    assert not (tmp_path / "export").exists()
    for name in (
        "semi_finetune/weights/student.safetensors",
        "semi_finetune/weights/teacher.safetensors",
        "evaluation.json",
    ):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()
    for name in ("semi_finetune/metrics.jsonl", "finetune/metrics.jsonl"):
        lines, expected = (
            [json.loads(line) for line in (folder / name).read_text().splitlines()]
            for folder in (tmp_path, finished)
        )
        assert len(lines) == len(expected) > 0
        for line, wanted in zip(lines, expected, strict=True):
            assert line == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--sede=1"], "Unknown command line flag 'sede'"),
        (["--seed=one"], "--seed"),
        (["train"], "Arguments should start with --. Received: ['train']"),
        (
            ["--dataset=imagenet1"],
            "one of: csv, digits, folder, idx, npz, tfds:<name>. Received: 'imagenet1'",
        ),
        (["--backbone=resnext"], "Received: name='resnext'"),
        (["--strategy=ring"], "--strategy should be one of: none, mirrored"),
        (["--strategy=tpu"], "strategy=tpu found no TPU"),
        (["--strategy=multi_worker"], "strategy=multi_worker should be given on every"),
        (["--logical_cpus=2"], "logical_cpus=2 needs strategy=mirrored"),
        (
            ["--strategy=multi_worker", "--steps_per_execution=2"],
            "--steps_per_execution should be 1 with --strategy=multi_worker",
        ),
        (["--labels_per_class=500"], "too few for 500 labelled"),
        (["--labels_per_class=0"], "--labels_per_class should be at least 1"),
        (["--semi_fairness=1"], "Unknown command line flag 'semi_fairness'"),
        (["--semi_mixing=none", "--semi_cutmix_probability=1"], "belongs to --semi_mi"),
        (["--pretrain_batch_size=2000"], "at most the 1438 training images"),
        (["--semi_unlabeled_per_labeled=100"], "at most the 1418 unlabelled images"),
        (["--patch_size=3"], "`patch_size` should divide `image_size`"),
        (["--heads=3"], "`heads` should divide `width`"),
        (["--pretrain_decoder_heads=3"], "`heads` should divide"),
        (["--pretrain_mask_ratio=0.9"], "leave a visible patch"),
        (["--pretrain_mask_ratio=0"], "--pretrain_mask_ratio should hide some of 4"),
        (["--semi_drop_path=1"], "`drop_path` should be in [0, 1)"),
        (["--finetune_label_smoothing=1"], "`label_smoothing` should be in [0, 1)"),
        (["--flagfile=absent.flags"], "absent.flags"),
        (["--stages=finetune,pretrain"], "in the order check,pretrain,probe,finetune"),
        (["--stages=finetune,finetune"], "each once"),
        (["--stages=train"], "--stages should be of: check, pretrain"),
        (["--stages=semi_finetune"], "--stages=semi_finetune needs the stage finetune"),
        (["--stages=pretrain,evaluate"], "--stages=evaluate needs the stage finetune"),
        (["--finetune_warmup_epochs=9"], "at most --finetune_epochs=3. Received: 9"),
        (["--semi_ema_momentum=1.5"], "--semi_ema_momentum should be at most 1.0"),
        (["--augmentation=heavy"], "Received: 'heavy'"),
        (["--label_fraction=0.1"], "exclude each other"),
        (["--xla=on", "--strategy=mirrored"], "--xla=on excludes"),
        (["--xla=on", "--deterministic"], "--xla=on excludes --deterministic"),
        (["--dataset=digits", "--data_dir=/data"], "need no `data_dir`"),
        (["--data_dir=/data"], "`data_dir` should be a folder of images"),
        (
            ["--time_limit=soon"],
            "--time_limit should be a number and a unit, as in 30m",
        ),
        (["--time_limit=0s"], "--time_limit should be more than nothing"),
        (["--patience=0"], "--patience should be at least 1"),
        (["--xla=on", "--semi_gated=on"], "--semi_gated=on cannot be had: XLA needs"),
        (["--stages=probe", "--heads=3"], "`heads` should divide `width`"),
        (["--stages=probe", "--init_from=absent.pth"], "absent.pth does not exist"),
        (["--strong_layer=keras.Dense"], "keras.Dense needs arguments"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(flags, message, tmp_path, capsys):
    folder = tmp_path / "run"
    assert message in error(capsys, f"--workdir={folder}", *flags)
    assert not folder.exists()


def test_images_without_any_label_are_for_pre_training(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1)).astype("uint8")
    np.savez(tmp_path / "images.npz", x_train=images)
    without = [flag for flag in TINY if not flag.startswith("--labels_per_class")]
    flags = [*without, "--dataset=npz", f"--data_dir={tmp_path / 'images.npz'}"]
    flags = ["main.py", *flags, f"--workdir={tmp_path / 'run'}"]
    assert main([*flags, "--stages=pretrain"]) == 0
    assert (tmp_path / "run/pretrain/weights/encoder.safetensors").exists()
    capsys.readouterr()
    assert main([*flags, "--stages=finetune"]) == 2
    line = "--stages=finetune needs labelled images: there are none"
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "reason", "advice"),
    [
        ("ResourceExhausted", "events; No space left on device", "command continues"),
        ("OutOfRange", "events; File too large", "command continues"),
        ("ResourceExhausted", "OOM when allocating tensor", "smaller batches"),
    ],
)
def test_what_runs_out_is_said_in_one_line(kind, reason, advice, tmp_path):
    kind = getattr(tf.errors, f"{kind}Error")
    with pytest.raises(InputError, match=f"{reason}.*{advice}") as caught:
        with one_line_errors(tmp_path):
            raise kind(None, None, f"{reason}\nat 0x7f")
    assert "\n" not in str(caught.value)


def test_another_split_in_the_folder_is_refused(finetuned, capsys):
    file = finetuned / "split.csv"
    file.write_text(file.read_text().replace(",labeled", ",unlabeled", 1))
    capsys.readouterr()
    assert "is not the split of these settings" in error(
        capsys, f"--workdir={finetuned}", "--stages=evaluate"
    )


def test_a_served_version_is_not_replaced_by_other_weights(
    finetuned, capsys, monkeypatch
):
    litert = [f"--workdir={finetuned}", "--stages=export", "--export_format=litert"]
    assert run(*litert) == 0
    check_files_beside_the_saved_model(litert, finetuned / "export/1", monkeypatch)
    capsys.readouterr()
    stages = "--stages=semi_finetune,export"
    line = error(capsys, f"--workdir={finetuned}", stages)
    assert "--export_version=1 exists and holds finetune student" in line
    assert not (finetuned / "semi_finetune").exists()
    assert run(f"--workdir={finetuned}", stages, "--export_version=2") == 0
    versions = sorted(path.name for path in (finetuned / "export").iterdir())
    assert versions == ["1", "2"]


def check_files_beside_the_saved_model(litert, version, monkeypatch):
    """Written again where one that is asked for is not there, and only then."""
    asked, file = [], version / "model.tflite"
    assert file.stat().st_size > 0 and (version / "saved_model.pb").exists()
    with monkeypatch.context() as patched:
        patched.setattr(
            "semivit_tf.stages.export.export_saved_model",
            lambda *given, **options: asked.append(options["portable"]),
        )
        assert run(*litert) == run(*litert[:2]) == 0
        assert asked == []
        assert run(*litert[:2], "--export_format=onnx") == 0
        assert asked == ["onnx"]


def test_missing_packages_are_found_before_anything_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    line = error(capsys, f"--workdir={tmp_path / 'run'}", "--export_format=onnx")
    assert "pip install tf2onnx onnx onnxruntime" in line
    assert not (tmp_path / "run").exists()
    assert "saved_model, litert, onnx" in error(capsys, "--export_format=coreml")


def test_what_a_killed_process_was_writing_goes_away(finetuned):
    own, kept = finetuned / ".config.json.ab0_9xyz", finetuned / ".gitignore"
    library = finetuned / "finetune" / "checkpoints" / ".tmpAb09Xz"
    for path in (own, kept, library):
        path.write_text("{")
    assert run(f"--workdir={finetuned}", "--stages=finetune") == 0
    assert kept.exists() and not own.exists() and not library.exists()


def test_a_folder_holds_one_run_at_a_time(finetuned, capsys):
    with (finetuned / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run(f"--workdir={finetuned}", "--stages=evaluate") == 2
        assert "is in use by another process" in capsys.readouterr().err
    assert run(f"--workdir={finetuned}", "--stages=evaluate") == 0


def test_a_broken_evaluation_is_named(finetuned, capsys):
    assert run(f"--workdir={finetuned}", "--stages=evaluate") == 0
    whole = (finetuned / "evaluation.json").read_bytes()
    (finetuned / "evaluation.json").write_text('{"part')
    capsys.readouterr()
    assert run(f"--workdir={finetuned}", "--stages=evaluate") == 0
    assert "evaluation.json is not as it was written: measured again" in (
        capsys.readouterr().out
    )
    assert (finetuned / "evaluation.json").read_bytes() == whole


def test_pretraining_that_has_begun_is_not_passed_over(pretrained, capsys):
    (pretrained / "pretrain" / "DONE").unlink()
    capsys.readouterr()
    for stage in ("probe", "finetune"):
        line = error(capsys, f"--workdir={pretrained}", f"--stages={stage}")
        assert "pretrain has begun" in line and "is not finished" in line
    assert not (pretrained / "finetune").exists()


def test_broken_weights_are_named(finetuned, capsys):
    file = finetuned / "finetune" / "weights" / "student.safetensors"
    file.write_bytes(file.read_bytes()[:200])
    capsys.readouterr()
    assert run(f"--workdir={finetuned}", "--stages=evaluate") == 2
    line = capsys.readouterr().err
    assert f"{file} cannot be read as safetensors" in line and line.count("\n") == 1


def test_folders_that_cannot_be_used(tmp_path, capsys):
    assert "cannot be written to" in error(capsys, "--workdir=/proc/run")
    file = tmp_path / "file"
    file.write_text("x")
    assert error(capsys, f"--workdir={file / 'run'}")
    assert "should be a folder" in error(capsys, f"--workdir={file}")
    assert "should be empty or hold a run" in error(capsys, f"--workdir={tmp_path}")


def test_late_pretraining_is_refused(finetuned, capsys):
    capsys.readouterr()
    line = error(capsys, f"--workdir={finetuned}", "--stages=pretrain,finetune")
    assert "started from scratch. Leave pretrain out, or" in line


def test_a_batch_in_parts_learns_the_same(tmp_path):
    flags = ("--stages=finetune", "--finetune_mixup_alpha=0", "--finetune_drop_path=0")
    flags += ("--finetune_cutmix_alpha=0",)
    lines = []
    for parts in (1, 2):
        folder = tmp_path / str(parts)
        given = (f"--finetune_batch_parts={parts}", f"--workdir={folder}")
        assert run(*flags, *given) == 0
        text = (folder / "finetune" / "metrics.jsonl").read_text()
        lines.append([json.loads(line)["loss"] for line in text.splitlines()])
    assert lines[1] == pytest.approx(lines[0], rel=1e-6) and len(set(lines[0])) == 3
