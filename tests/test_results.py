"""What the committed results of experiments/ show is what was promised."""

import json
import pathlib
import statistics

import numpy as np
import pytest

EXPERIMENTS = pathlib.Path(__file__).parents[1] / "experiments"


def results(script):
    return json.loads((EXPERIMENTS / "results" / f"{script}.json").read_text())


def test_five_seeds_of_semi_vit_on_digits():
    """The teacher is above the fine-tuned stage and above label spreading."""
    seeds = results("digits_40_labels")["seeds"]
    assert sorted(seeds) == ["0", "1", "2", "3", "4"]
    teacher, student, spreading = (
        np.array([seed[key] for seed in seeds.values()])
        for key in ("semi_finetune teacher", "finetune student", "label_spreading")
    )
    assert teacher.mean() >= 0.92
    assert teacher.mean() - student.mean() >= 0.04
    assert (teacher > spreading).sum() >= 4


@pytest.mark.parametrize(
    ("script", "ours", "others", "least"),
    [
        ("mae_step", "ours", "torch", 1.2),
        ("semi_step", "ours float32", "torch float32", 1.15),
        ("semi_step", "ours bfloat16", "torch bfloat16", 1.1),
        ("semi_step", "ours half", "torch", 1.5),
    ],
)
def test_steps_are_faster_than_pytorchs(monkeypatch, script, ours, others, least):
    """On the processor that has instructions for bfloat16; the README has another."""
    monkeypatch.syspath_prepend(EXPERIMENTS / "benchmarks")
    from turns import best_ratio

    machines = results(script)["machines"]
    (rounds,) = (machines[name]["rounds"] for name in machines if "family 26" in name)

    def ways(words):
        """Returns the ways with these words that keep as many rows."""
        words = set(words.split())
        kept = [way for way in rounds if words <= set(way.split())]
        return [way for way in kept if ("half" in way) == ("half" in words)]

    assert best_ratio(rounds, ways(ours), ways(others), "images_per_second") >= least


def test_the_encoder_of_mae_works_on_a_quarter():
    operations = results("mae_step")["operations"]
    share = operations["hidden"]["encoder"] / operations["unmasked"]["encoder"]
    assert share == pytest.approx(0.25, abs=0.005)


def test_rematerialised_blocks_hold_less():
    rounds = results("rematerialize")
    whole, again = (
        statistics.median(rounds["rounds"][way]["peak_bytes"])
        for way in ("plain", "plain again")
    )
    assert again <= 0.65 * whole
    assert rounds["gradient_difference"] <= 1e-5


def test_upkeep_costs_little():
    shares = results("upkeep")
    assert shares["teacher"] < 0.03
    assert shares["checkpoints"] < 0.01
    assert shares["data"] < 0.05


def test_a_plan_is_near_what_a_run_took():
    times = results("plan")
    assert times["planned_seconds"] == pytest.approx(times["seconds"], rel=0.3)


def test_killed_runs_ended_as_the_untouched_one():
    """The script ends with an error where a file differs, and then writes nothing."""
    found = results("kills")
    found.pop("command")
    for strategy, runs in found.items():
        assert sum(runs["kills"].values()) >= 20, strategy
        assert {"pretrain", "finetune", "semi_finetune"} <= set(runs["kills"])
