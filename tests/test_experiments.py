"""What the scripts of experiments/ do with flags and with what runs leave."""

import importlib
import json
import pathlib
import sys
import types

import pytest

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


FLAGFILE = """
# A recipe.
--dataset=folder
--backbone=vit
--width=64
--widths_of_nothing=1

--finetune_epochs=3
--init_from=vit.pth
--label_fraction=0.01
--workdir=runs/recipe
"""


def test_a_sweep_gives_both_networks_the_same_flags(experiment, tmp_path, monkeypatch):
    sweep = experiment("label_sweep")
    flagfile = tmp_path / "recipe.flags"
    flagfile.write_text(FLAGFILE)
    commands = {}

    def run(folder, *flags):
        """Leaves what a run would: the share is the labels, the ViT's ten more."""
        commands[folder.name] = flags
        folder.mkdir()
        labels, seed = (int(f.split("=")[1]) for f in flags if f.startswith(SWEPT))
        share = (labels + seed) / 100 + 0.1 * folder.name.endswith("vit")
        results = [
            {
                "stage": stage,
                "weights": weights,
                **dict.fromkeys(sweep.MEASURES, share + more),
            }
            for stage, weights, more in (
                ("finetune", "student", 0.0),
                ("semi_finetune", "teacher", 0.2),
            )
        ]
        (folder / "evaluation.json").write_text(json.dumps({"results": results}))
        (folder / "config.json").write_text(json.dumps({"versions": {"keras": "3"}}))
        return folder

    SWEPT = ("--labels_per_class=", "--seed=")
    monkeypatch.setattr(sweep, "run_pipeline", run)
    result = tmp_path / "sweep.json"
    command = ["label_sweep.py", f"--flagfile={flagfile}", "--labels_per_class=1,5"]
    command += ["--seeds=0,2", f"--workdir={tmp_path}", f"--result={result}"]
    command += ["--cnn=--backbone=convnext_tiny --init_from=cnn.pth"]
    monkeypatch.setattr(sys, "argv", [*command, "--semi_epochs=7"])
    sweep.main()

    assert len(commands) == 8
    shared = ["--dataset=folder", "--widths_of_nothing=1", "--finetune_epochs=3"]
    shared += ["--semi_epochs=7", "--labels_per_class=5", "--seed=2"]
    vit = ["--backbone=vit", "--width=64", "--init_from=vit.pth"]
    assert sorted(commands["labels5_seed2_vit"]) == sorted([*shared, *vit])
    cnn = ["--backbone=convnext_tiny", "--init_from=cnn.pth"]
    cnn += ["--stages=check,finetune,evaluate"]
    assert sorted(commands["labels5_seed2_cnn"]) == sorted([*shared, *cnn])

    table = sweep.table(json.loads(result.read_text()))
    # 5 and 7 percent; the ViT's ten more, its teacher's thirty more.
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
