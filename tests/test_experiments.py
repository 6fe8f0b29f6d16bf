"""What the scripts of experiments/ do with flags and with what runs leave."""

import importlib
import json
import pathlib
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.cli import parse
from semivit_tf.data.loaders import load_parts
from semivit_tf.stages.batch_sizes import check_batches
from semivit_tf.stages.run import Run
from semivit_tf.stages.run_data import split_and_batch
from semivit_tf.stages.stage_table import PIPELINES

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def experiment(monkeypatch):
    """Returns a function from the name of a script to its module."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module


def test_a_failed_run_ends_an_experiment_with_its_status(experiment, tmp_path):
    campaign = experiment("campaign")
    with pytest.raises(SystemExit) as ended:
        campaign.run_pipeline(tmp_path / "run", "--no_such_flag")
    assert ended.value.code == 2


def test_a_spread_is_the_mean_and_the_deviation_in_percent(experiment):
    campaign = experiment("campaign")
    assert campaign.spread([0.5, 0.7, 0.9]) == "70.0 +- 20.0"
    assert campaign.spread([0.123]) == "12.3"


SWEPT = ("--labels_per_class=", "--seed=")


@pytest.fixture
def sweep(experiment, tmp_path, monkeypatch):
    """Returns a function that sweeps without training.

    It takes a flagfile and more arguments, and returns a dict of run to its flags, and
    the table. Each run leaves what a real one would: the share that is right is labels
    plus seed in percent, the ViT's ten more, its teacher's thirty more.
    """
    script = experiment("label_sweep")
    commands = {}

    def run(folder, *flags):
        commands[folder.name] = list(flags)
        folder.mkdir()
        labels, seed = (int(f.split("=")[1]) for f in flags if f.startswith(SWEPT))
        share = (labels + seed) / 100 + 0.1 * folder.name.endswith("vit")
        results = [
            {
                "stage": stage,
                "weights": weights,
                **dict.fromkeys(script.MEASURES, share + more),
            }
            for stage, weights, more in (
                ("finetune", "student", 0.0),
                ("semi_finetune", "teacher", 0.2),
            )
        ]
        (folder / "evaluation.json").write_text(json.dumps({"results": results}))
        (folder / "config.json").write_text(json.dumps({"versions": {"keras": "3"}}))
        return folder

    def command(flagfile, *arguments):
        result = tmp_path / "sweep.json"
        words = ["label_sweep.py", f"--flagfile={flagfile}", f"--workdir={tmp_path}"]
        monkeypatch.setattr(sys, "argv", [*words, f"--result={result}", *arguments])
        script.main()
        return commands, script.table(json.loads(result.read_text()))

    monkeypatch.setattr(script, "run_pipeline", run)
    return command


RECIPE = """
# A recipe.
--dataset=folder
--backbone=vit
--width=64
--widths_of_nothing=1

--finetune_epochs=3
--init_from=vit.pth
--init_network=student
--label_fraction=0.01
--workdir=runs/recipe
"""


@pytest.fixture
def recipe(tmp_path):
    """Returns the path of a flagfile of a ViT that starts from published weights."""
    path = tmp_path / "recipe.flags"
    path.write_text(RECIPE)
    return path


def test_a_sweep_gives_both_networks_the_same_flags(sweep, recipe):
    commands, table = sweep(
        recipe,
        "--labels_per_class=1,5",
        "--seeds=0,2",
        "--cnn=--backbone=convnext_tiny --init_from=cnn.pth",
        "--semi_epochs=7",
    )
    assert len(commands) == 8
    shared = ["--dataset=folder", "--widths_of_nothing=1", "--finetune_epochs=3"]
    shared += ["--semi_epochs=7", "--labels_per_class=5", "--seed=2"]
    shared += ["--fit_batch_sizes"]
    vit = ["--backbone=vit", "--width=64", "--init_from=vit.pth"]
    vit += ["--init_network=student"]
    assert sorted(commands["labels5_seed2_vit"]) == sorted([*shared, *vit])
    cnn = ["--backbone=convnext_tiny", "--init_from=cnn.pth"]
    cnn += ["--stages=check,finetune,evaluate"]
    assert sorted(commands["labels5_seed2_cnn"]) == sorted([*shared, *cnn])
    # 5 and 7 percent.
    assert "| 5 | CNN, fine-tuned | 6.0 +- 1.4 |" in table
    assert "| 5 | ViT, fine-tuned | 16.0 +- 1.4 |" in table
    assert "| 5 | Semi-ViT | 36.0 +- 1.4 |" in table


@pytest.mark.parametrize("loss", [1e-4, 1.1e-4, float("nan")])
def test_answers_that_differ_too_much_end_the_comparison_with_an_error(
    experiment, tmp_path, monkeypatch, loss
):
    script = experiment("benchmarks.published_weights")
    row = {"file": "zip", "image_size": 160, "patch_size": 16, "resized": []}
    versions = types.SimpleNamespace(stdout='{"torch": "2.0", "timm": "1.0"}')
    monkeypatch.setattr(script, "CASES", {"mae": {}})
    monkeypatch.setattr(
        script, "compare", lambda *_: [{**row, "features": 1e-5, "loss": loss}]
    )
    monkeypatch.setattr(script, "RESULT", tmp_path / "result.json")
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: versions)
    monkeypatch.setattr(sys, "argv", ["published_weights.py", "--torch_python=there"])
    if loss == 1e-4:
        script.main()
    else:
        message = f"Differences above 0.0001:\nmae, zip, 160 px: loss {loss}$"
        with pytest.raises(SystemExit, match=message):
            script.main()
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["cases"]["mae"][0]["features"] == 1e-5
    assert result["versions"].keys() >= {"torch", "timm", "keras"}


def test_a_sweep_refuses_a_cnn_from_scratch_beside_a_vit_with_weights(
    sweep, recipe, capsys
):
    with pytest.raises(SystemExit) as ended:
        sweep(recipe)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "label_sweep.py: the ViT starts from published weights, so --cnn should have "
        "--init_from, or --cnn_from_scratch be given. Received: "
        "--cnn='--backbone=convnext_tiny'"
    )
    once = ("--labels_per_class=1", "--seeds=0")
    commands, _ = sweep(recipe, *once, "--cnn_from_scratch")
    assert sorted(commands) == ["labels1_seed0_cnn", "labels1_seed0_vit"]
    assert not [f for f in commands["labels1_seed0_cnn"] if "scratch" in f]


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        ("vit_base_patch16", False),
        ("keras_applications:ResNet50V2", False),
        ("keras_applications:ResNet50V2:imagenet", True),
        ("keras_hub:resnet_50_imagenet", True),
        ("keras:company.keras", True),
    ],
)
def test_networks_made_elsewhere_may_bring_their_weights(
    backbone, expected, experiment
):
    flags = [f"--backbone={backbone}", "--finetune_drop_path=0"]
    starts = experiment("label_sweep").starts_from_weights
    assert starts(flags) == expected
    assert starts([*flags, "--init_from=a=b.pth"])


def test_a_sweep_refuses_a_recipe_without_the_stages_that_it_compares(sweep, capsys):
    with pytest.raises(SystemExit) as ended:
        sweep(ROOT / "experiments" / "imagenet_mae_finetune_vit_base.flags")
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("evaluate. Missing: ['semi_finetune']")


FLAGFILES = sorted(
    path.name
    for path in (ROOT / "experiments").glob("*.flags")
    if {"finetune", "semi_finetune"}
    <= set(parse(["main.py", f"--flagfile={path}"]).run.stage_names())
)


@pytest.mark.parametrize("name", FLAGFILES)
def test_a_sweep_fits_the_batches_of_any_recipe_to_few_labels(name, sweep, tmp_path):
    """5 classes of 40 images, of which up to 100 are labelled."""
    file = tmp_path / "images.npz"
    labels = np.repeat(np.arange(5), 40)
    np.savez(file, x_train=np.zeros((200, 8, 8, 3), "uint8"), y_train=labels)
    commands, _ = sweep(
        ROOT / "experiments" / name,
        *("--labels_per_class=1,3,20", "--seeds=0", "--cnn_from_scratch"),
        *("--dataset=npz", f"--data_dir={file}"),
    )
    found = {}
    for run, flags in commands.items():
        config = parse(["main.py", *flags])
        data = split_and_batch(config, load_parts("npz", config.data.data_dir))
        prepared = Run(config, None, data, tf.distribute.get_strategy())
        sizes = {}
        for stage in PIPELINES["semi_vit"]:
            if stage.settings in ("finetune", "semi"):
                check_batches(prepared, stage)
                sizes[stage.settings] = prepared.settings(stage).batch_size
        labeled, network = run.removeprefix("labels").split("_seed0_")
        found[int(labeled), network] = sizes["finetune"], sizes["semi"]
    recipe = parse(["main.py", f"--flagfile={ROOT / 'experiments' / name}"])
    # The recipe's limits, the labels and the unlabelled images for each.
    most = min(100, recipe.finetune.batch_size or 128)
    unlabeled = 200 if recipe.data.labeled_as_unlabeled else 100
    limits = (
        recipe.semi.batch_size or 128,
        unlabeled // recipe.semi.unlabeled_per_labeled,
    )
    expected = {
        labels: (min(5 * labels, most), min(5 * labels, *limits))
        for labels in (1, 3, 20)
    }
    assert found == {
        (labeled, network): sizes
        for labeled, sizes in expected.items()
        for network in ("vit", "cnn")
    }


@pytest.fixture
def settings_compared(experiment, tmp_path, monkeypatch):
    """Returns a function that compares settings without training.

    It takes arguments, and returns a dict of run to its flags, the result, and the
    table. Each run leaves what a real one would: of the test images, 60 % plus a point
    a seed are right, ten points fewer by hand, and five more after stage 3.
    """
    script = experiment("derived_settings")
    monkeypatch.setattr(script, "RESULT", tmp_path / "result.json")
    commands = {}

    def run(folder, *flags, threads, log):
        assert threads == 1
        commands[folder.name] = list(flags)
        (folder / "finetune").mkdir(parents=True)
        by_hand, seed = "by_hand" in folder.name, int(folder.name[-1])
        share = 0.6 + seed / 100 - 0.1 * by_hand
        results = [
            {"stage": "finetune", "weights": "student", "accuracy": share},
            {"stage": "semi_finetune", "weights": "teacher", "accuracy": share + 0.05},
        ]
        (folder / "evaluation.json").write_text(json.dumps({"results": results}))
        (folder / "config.json").write_text(json.dumps({"versions": {"keras": "3"}}))
        # After two of six epochs the loss is above ln 10, and above ln 7.
        losses = [2.5, 2.31 if by_hand else 2.0, 1.0, 1.0, 1.0, 1.0]
        lines = [json.dumps({"loss": loss}) for loss in losses]
        (folder / "finetune" / "metrics.jsonl").write_text("\n".join(lines))
        log.write_text("finetune: after a third of its epochs\n" if by_hand else "")
        return folder

    def command(*arguments):
        words = ["derived_settings.py", "--at_once=1", f"--workdir={tmp_path}"]
        monkeypatch.setattr(sys, "argv", [*words, *arguments])
        script.main()
        result = json.loads((tmp_path / "result.json").read_text())
        return commands, result, script.table(result)

    monkeypatch.setattr(script, "run_pipeline", run)
    return command


def test_derived_settings_are_compared_with_those_by_hand(
    settings_compared, tmp_path, capsys
):
    commands, result, table = settings_compared("--sets=groceries,digits", "--seeds=0")
    assert "groceries: left out, as no --groceries=FOLDER" in capsys.readouterr().out
    assert sorted(commands) == ["digits_by_hand_0", "digits_derived_0"]
    derived = commands["digits_derived_0"]
    assert derived[0] == "--preset=quick" and derived[-1] == "--seed=0"
    groups = ("--pretrain_", "--finetune_", "--semi_")
    assert not [flag for flag in derived if flag.startswith(groups)]
    one = result["sets"]["digits"]["derived"]["0"]
    assert one["finetuning_after_a_third"] == {
        "loss": 2.0,
        "below_chance": True,
        "warning": None,
    }
    assert one["seconds"] >= 0
    other = result["sets"]["digits"]["by_hand"]["0"]["finetuning_after_a_third"]
    assert not other["below_chance"]  # 2.31 is above ln 10, 2.303
    assert other["warning"] == "finetune: after a third of its epochs"
    assert "| digits, 40 labels | derived | 0 | 60.0 | 65.0 | 1 of 1 | 0 |" in table
    assert "| digits, 40 labels | by hand | 0 | 50.0 | 55.0 | 0 of 1 | 0 |" in table
    assert "Not measured: 7 groceries, 28 labels; Fashion" in table


def test_compared_settings_go_on_from_what_is_measured(settings_compared, tmp_path):
    settings_compared("--sets=digits", "--seeds=0")
    folder = f"--groceries={tmp_path}"
    commands, result, table = settings_compared(
        "--sets=groceries,digits", "--seeds=0,1", folder
    )
    assert len(commands) == 2 + 2 + 2 + 2  # none ran twice: its folder would exist
    assert f"--data_dir={tmp_path}" in commands["groceries_derived_1"]
    assert str(tmp_path) not in json.dumps(result)
    assert "| 7 groceries, 28 labels | derived | 0, 1 | 60.5 +- 0.7 | 65.5" in table


def test_both_ways_to_set_runs_make_as_many_updates(experiment):
    """In pre-training and stage 3 within a tenth, for as many images."""
    script = experiment("derived_settings")
    sizes = {"groceries": (28, 251), "digits": (40, 1438)}
    sizes |= {"fashion_100": (100, 60_000), "fashion_500": (500, 60_000)}
    small = {"pretrain": 400 * 128, "finetune": 150, "semi": 400 * 32}
    for name, (labels, images) in sizes.items():
        config = parse(["main.py", *script.flags_of(name, "by_hand")])
        semi = config.semi
        unlabeled = semi.batch_size * semi.unlabeled_per_labeled
        updates = {
            "pretrain": config.pretrain.steps(images, config.pretrain.batch_size)
            * config.pretrain.batch_size,
            "finetune": config.finetune.steps(labels, config.finetune.batch_size),
            "semi": semi.steps(images - labels, unlabeled) * semi.batch_size,
        }
        for group, work in small.items():
            done = updates[group] * getattr(config, group).epochs
            assert 0.85 * work <= done <= 1.1 * work, (name, group)
