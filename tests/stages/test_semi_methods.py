"""Stage 3 by every method, and by parts of one in another, from flags alone."""

import dataclasses
import signal
import time

import pytest
from safetensors.numpy import load_file

from semivit_tf.config import Config
from semivit_tf.methods.classifier import Classifier
from semivit_tf.stages.semi_finetune import semi_method
from tests.methods.small import small_vit
from tests.stages.runs import TINY, error, run

# Without what belongs to a fixed threshold.
FREE = [flag for flag in TINY if not flag.startswith("--semi_threshold")]
SHORT = ["--stages=finetune,semi_finetune", "--finetune_epochs=1"]
ADAPTIVE = ["--semi_selection=self_adaptive_threshold", "--semi_threshold_momentum=0.9"]


def last_state(folder):
    """The latest checkpoint of stage 3, which holds all variables."""
    return sorted((folder / "semi_finetune/checkpoints").glob("step-*"))[-1]


@pytest.mark.parametrize(
    "flags",
    [
        ["--semi_method=fixmatch", "--semi_steps_per_epoch=3"],
        [
            *("--semi_method=flexmatch", "--semi_mixing=pseudo_mixup"),
            *("--semi_epochs=1", "--semi_optimizer=sgd"),
            *("--semi_schedule=cosine_7_16", "--finetune_optimizer=sgd"),
        ],
        ["--semi_method=semi_mae", "--semi_mask_ratio=0.5", "--semi_epochs=1"],
    ],
)
def test_methods_and_their_parts_run_from_flags(flags, tmp_path, capsys):
    assert run(*SHORT, *flags, f"--workdir={tmp_path / 'run'}") == 0
    epochs = (tmp_path / "run/semi_finetune/metrics.jsonl").read_text().splitlines()
    assert '"kept": 1.0' in epochs[-1]  # the threshold is 0
    steps = "6 in all" if "--semi_steps_per_epoch=3" in flags else "14 in all"
    assert steps in capsys.readouterr().out  # of stage 3


def test_stage_3_starts_from_scratch_if_told_so(tmp_path, capsys):
    stages = "--stages=semi_finetune,evaluate,export"
    flags = ["--semi_from_scratch", "--semi_batch_size=30", "--semi_epochs=1"]
    assert run(stages, *flags, f"--workdir={tmp_path / 'run'}") == 0
    assert (tmp_path / "run/export/1").exists()  # with batches of 30 from 20 labels
    capsys.readouterr()
    assert '"scratch"' in (tmp_path / "run/semi_finetune/DONE").read_text()
    assert "init_from" in error(capsys, stages, f"--workdir={tmp_path / 'other'}")
    # Stage 2 is independent of it, before and after.
    assert run("--stages=finetune", *flags, f"--workdir={tmp_path / 'run'}") == 0
    capsys.readouterr()
    other = f"--workdir={tmp_path / 'other'}"
    found = error(capsys, stages, *flags, "--init_from=a.pth", other)
    assert found.endswith(
        "--init_from=a.pth is used by none of the stages asked for: semi_finetune "
        "starts from scratch"
    )


def test_stage_2_that_is_not_finished_does_not_matter_from_scratch(tmp_path, capsys):
    folder = tmp_path / "run"
    flags = ["--semi_from_scratch", "--semi_epochs=1", f"--workdir={folder}"]
    assert run("--stages=finetune", *flags) == 0
    (folder / "finetune/DONE").unlink()
    assert run("--stages=semi_finetune", *flags) == 0


@pytest.mark.parametrize(("share", "steps"), [(0.01, 1), (0.5, 7), (1.0, 14)])
def test_a_ramp_has_a_step_at_least(share, steps):
    config = Config.from_flags({"backbone": "vit_small_patch16"})
    settings = dataclasses.replace(config.semi_method, unlabeled_ramp=share)
    weight = semi_method(settings, Classifier(small_vit(), 3), 14).unlabeled_weight
    assert (weight.value, weight.steps) == (5.0, steps)
    assert float(weight(0)) == 0.0
    assert [float(weight(steps + more)) for more in (0, 1, 99)] == [5.0] * 3
    assert float(weight(steps / 2)) == 2.5


def test_a_flag_of_another_method_is_one_line(tmp_path, capsys):
    folder = f"--workdir={tmp_path / 'run'}"
    found = error(capsys, "--semi_fairness_weight=1", folder)
    assert found.endswith(
        "--semi_fairness_weight is not a setting of --semi_method=semi_vit. "
        "Received: 1.0; --semi_fairness_weight= takes it back"
    )
    found = error(capsys, "--semi_method=freematch", folder)
    assert "--semi_threshold belongs to --semi_selection=fixed_threshold" in found


def test_semi_mae_needs_a_vit_and_says_so(tmp_path, capsys):
    convnext = ["--backbone=convnext", "--depths=1", "--widths=8", "--stem_patch=2"]
    taken_back = [f"--{n}=" for n in ("patch_size", "width", "depth", "heads")]
    flags = [*convnext, *taken_back, "--stages=finetune,semi_finetune"]
    folder = f"--workdir={tmp_path / 'run'}"
    found = error(capsys, *flags, "--semi_method=semi_mae", folder)
    assert found.endswith(
        "`backbone` should be a ViT, because patches are hidden before its blocks. "
        "Received: ConvNeXt"
    )


def test_running_thresholds_survive_a_kill(start, tmp_path):
    """Semi-ViT's mixing with FreeMatch's selection."""
    flags = [*FREE, *SHORT, *ADAPTIVE, "--deterministic", "--checkpoint_steps=5"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    runs = [start(*flags, f"--workdir={folder}") for folder in (whole, killed)]
    checkpoints = killed / "semi_finetune/checkpoints"
    while runs[1].poll() is None and not list(checkpoints.glob("step-*")):
        time.sleep(0.01)
    runs[1].send_signal(signal.SIGKILL)
    runs[1].communicate()
    assert runs[1].returncode == -signal.SIGKILL
    output, errors = start(*flags, f"--workdir={killed}").communicate()
    assert "continued at step" in output, output + errors
    output, errors = runs[0].communicate()
    assert runs[0].returncode == 0, output + errors
    assert last_state(whole).read_bytes() == last_state(killed).read_bytes()
    state = load_file(last_state(whole))
    (threshold,) = [v for n, v in state.items() if n.endswith("/confidence")]
    assert 0.1 < threshold < 1.0  # moved from 1 / 10
