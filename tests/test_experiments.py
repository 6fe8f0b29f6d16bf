"""What the scripts of experiments/ do with flags and with what runs leave."""

import importlib
import json
import pathlib
import sys
import types

import pytest

from semivit_tf.cli import parse
from semivit_tf.stages.plan import Plan, describe
from semivit_tf.stages.speed import Speed

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


@pytest.mark.parametrize(
    ("ways", "changed", "flags"),
    [
        (["ours a"], {"seconds": 5.0, "rounds": 3}, " --seconds=5 --rounds=3"),
        (["ours a", "torch a"], {}, " --torch_python=PATH"),
    ],
)
def test_a_benchmark_names_the_command_that_was_given(experiment, ways, changed, flags):
    turns = experiment("benchmarks.turns")
    usual = {"seconds": turns.SECONDS, "rounds": turns.ROUNDS}
    given = types.SimpleNamespace(**{**usual, **changed})
    found = turns.command_of(turns.ROOT / "some.py", ways, given)
    assert found == f"python some.py{flags}"


def test_a_plan_is_read_as_it_is_printed(experiment):
    seconds = {"pretrain": 42.0, "finetune": 3723.0}
    plans = {
        stage: Plan(20, 8, Speed(2.0, of - 40.0), 10**6, 10**6, None, 1)
        for stage, of in seconds.items()
    }
    text = describe(plans, 3, "float32").replace("unknown", "1.50 GB")
    assert experiment("benchmarks.plan").planned(text) == {
        stage: {"seconds": of, "bytes": 1.5e9} for stage, of in seconds.items()
    }


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
