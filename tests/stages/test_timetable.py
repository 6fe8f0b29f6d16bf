"""How much of a run's work fits into its time."""

import dataclasses
import json
import types

import numpy as np
import pytest

from semivit_tf.cli import main
from semivit_tf.config.settings import InputError
from semivit_tf.stages import speed, timetable
from semivit_tf.stages.plan import Plan
from semivit_tf.stages.speed import Speed, estimated_speed, seconds_of_reading
from semivit_tf.stages.timetable import Timetable, allotted
from tests.stages.runs import prepared

STEPS = {"pretrain": 100, "finetune": 50, "semi_finetune": 200}


def table(monkeypatch, tmp_path, limit, **flags):
    """A timetable of three stages whose steps take a second, 10 s before the first."""
    made = prepared(
        tmp_path,
        stages=",".join(STEPS),
        labels_per_class=2,
        preset="balanced",
        time_limit=limit,
        **flags,
    )

    def plans(run, stages):
        return {
            stage: Plan(STEPS[stage.name], 1, Speed(1.0, 10.0), 1, 1, None, 1)
            for stage in stages
        }

    monkeypatch.setattr(timetable, "plans_of", plans)
    now = [1000.0]
    monkeypatch.setattr(timetable.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(timetable, "_ENDING", 20.0)
    monkeypatch.setattr(timetable, "_FORWARD", 0.0)
    return made, Timetable(made, 1000.0), now


def test_less_is_done_where_time_is_short(monkeypatch, tmp_path):
    """380 s are planned; of 220 s, 20 end the run and 30 begin stages: 170 of 350.

    Fine-tuning gets its 50 s, and the others 60 s each.
    """
    made, times, now = table(monkeypatch, tmp_path, "220s")
    assert times.describe() == (
        "training takes about 6:20: pretrain 1:50, finetune 1:00, "
        "semi_finetune 3:30; less will be done, to end in 3:40"
    )
    first, second, third = times.wanted
    begun = times.begin(made, first)
    shares = {"pretrain": 0.6, "finetune": 1.0, "semi_finetune": 0.3}
    assert begun.work == pytest.approx(shares)
    assert begun.deadline == pytest.approx(1200 - 0.8 * (60 + 70))
    # Twice as slow as planned: of the 200 s 140 are gone, and 30 are as 60.
    now[0] += 2 * (10 + 60)
    times.ended(begun, first)
    assert times.slowness == pytest.approx(2.0)
    begun = times.begin(made, second)
    assert begun.work == pytest.approx({"finetune": 5 / 50, "semi_finetune": 5 / 200})
    assert begun.deadline == pytest.approx(1200 - 0.8 * 2 * 15)
    now[0] = 1300.0  # nothing is left
    times.ended(begun, second)
    begun = times.begin(made, third)
    assert begun.work == {"semi_finetune": 0.02} and begun.deadline == 1200.0


@pytest.mark.parametrize(
    ("wanted", "time_left", "given"),
    [
        ([100, 50, 200], 170, [60, 50, 60]),
        ([100, 50, 200], 90, [30, 30, 30]),
        ([100, 50, 200], 340, [100, 50, 190]),
        ([100, 50, 200], 500, [100, 50, 200]),
        ([100, 50], -3, [0, 0]),
        ([], 10, []),
    ],
)
def test_who_wants_little_gets_it_whole(wanted, time_left, given):
    assert allotted(wanted, time_left) == pytest.approx(given)


def test_enough_time_changes_nothing(monkeypatch, tmp_path):
    made, times, _ = table(monkeypatch, tmp_path, "1h")
    assert "less" not in times.describe()
    assert set(times.begin(made, times.wanted[0]).work.values()) == {1.0}


def test_too_little_time_is_refused_before_anything_is_trained(monkeypatch, tmp_path):
    """30 s before first steps, 20 s at the end, and 2 % of 350 s."""
    made, times, _ = table(monkeypatch, tmp_path, "50s")
    with pytest.raises(InputError, match="--time_limit=50s is too short: about 0:57"):
        times.begin(made, times.wanted[0])


def test_what_is_said_is_done(monkeypatch, tmp_path):
    """All but fine-tuning is said: of 200 s, 320 are not to be had."""
    said = {"pretrain_epochs": 2, "semi_epochs": 2}
    made, times, _ = table(monkeypatch, tmp_path, "390s", **said)
    expected = {"finetune": pytest.approx((370 - 330) / 50)}
    assert times.begin(made, times.wanted[0]).work == expected
    said["finetune_epochs"] = 3
    made, times, _ = table(monkeypatch, tmp_path, "30s", **said)
    assert times.begin(made, times.wanted[0]).work == {}


def test_a_time_limit_scales_the_updates(tmp_path):
    made = prepared(tmp_path, stages="finetune", labels_per_class=2, preset="balanced")
    (stage,) = made.wanted
    whole, half = (
        made.timed(work=work).settings(stage).epochs for work in ({}, {"finetune": 0.5})
    )
    assert (whole, half) == (300, 150)


def test_later_stages_count_in_steps_of_this_one(tmp_path):
    """Fine-tuning learns 20 images a step, and stage 3 learns 120."""
    flags = {"finetune_batch_size": 20, "semi_batch_size": 20, "labels_per_class": 2}
    made = prepared(tmp_path, stages="finetune,semi_finetune", **flags)
    first, second = made.wanted
    expected = made.updates(second) * (20 + 100) / 20
    assert made.later_steps(first) == pytest.approx(expected)
    assert made.later_steps(second) == 0


# === Estimates ===


def learns_in(monkeypatch, seconds):
    """Lets a gradient take what a function says; returns how many images were learned.

    Args:
        seconds: Function of the number of images.
    """
    now, learned = [0.0], []

    def learn(batch):
        learned.append(len(batch))
        now[0] += seconds(learned[-1])

    monkeypatch.setattr(speed, "gradient_of", lambda model, specs: learn)
    clock = types.SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(speed, "time", clock)
    for constant in ("_DISPATCHING", "_UPDATING"):
        monkeypatch.setattr(speed, constant, 0.0)
    return learned


def of_pretraining(tmp_path, batch_size, parts=1):
    """A run and its stage, with images of 8x8 pixels."""
    sizes = {"pretrain_batch_size": batch_size, "pretrain_batch_parts": parts}
    sizes["pretrain_method"] = "mae"
    made = prepared(tmp_path, stages="pretrain", **sizes)
    return made, made.wanted[0].kind.prepare(made, made.wanted[0])


@pytest.mark.parametrize(
    ("parts", "learned"), [(1, [1, 4, 16, 64, 256, 600]), (4, [1, 4, 16, 64, 150])]
)
def test_a_small_network_learns_a_whole_part_of_a_batch(
    parts, learned, tmp_path, monkeypatch
):
    """Each gradient takes 1 ms, and 0.1 ms for each image; 600 are in a step."""
    made, training = of_pretraining(tmp_path, 600, parts)
    found = learns_in(monkeypatch, lambda images: 1e-3 + 1e-4 * images)
    estimated = estimated_speed(made, training, reading=1e-5)
    assert estimated.step == pytest.approx(parts * 1e-3 + 0.06 + 0.006)
    assert sorted(set(found)) == learned
    assert estimated.seconds(10) == estimated.beginning + 10 * estimated.step
    assert estimated.seconds(0) == 0.0
    assert seconds_of_reading(made) == 0.0  # no time passes


def test_a_large_network_learns_a_few_images(tmp_path, monkeypatch):
    """A gradient takes 20 ms, and 2 s for each of 600 images."""
    made, training = of_pretraining(tmp_path, 600)
    found = learns_in(monkeypatch, lambda images: 0.02 + 2 * images)
    assert estimated_speed(made, training, 0.0).step == pytest.approx(1200, rel=0.01)
    assert found == [1, 4]


def test_the_noise_of_a_busy_machine_is_no_larger_in_an_estimate(tmp_path, monkeypatch):
    """A gradient takes 50 ms and 5 ms for each image, up to 10 % more or less."""
    made, training = of_pretraining(tmp_path, 500)
    noise = np.random.default_rng(0)
    learns_in(
        monkeypatch, lambda images: (0.05 + 0.005 * images) * noise.uniform(0.9, 1.1)
    )
    for _ in range(20):
        # 0.05 s count 500 / 64 times, since 64 images take more than 0.3 s.
        expected = 500 / 64 * 0.05 + 2.5
        step = estimated_speed(made, training, 0.0).step
        assert step == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("method", ["mae", "dino"])
def test_a_gradient_of_any_number_of_images_is_a_step_s(method, tmp_path, monkeypatch):
    """The graph that is timed takes batches of all sizes, and returns its gradient."""
    made = prepared(tmp_path, stages="pretrain", pretrain_method=method)
    training = made.wanted[0].kind.prepare(made, made.wanted[0])
    specs = training.stream(0).element_spec
    learn, traces = speed.gradient_of(training.model, specs), []
    real = type(training.model).gradients_of
    monkeypatch.setattr(
        type(training.model),
        "gradients_of",
        lambda *given: traces.append(1) or real(*given),
    )
    for images in (1, 3, 8):
        assert np.isfinite(learn(speed._noise_of(training, specs, images)))
    assert len(traces) == 1


@pytest.mark.parametrize(("seconds", "batches"), [(0.002, 50), (0.1, 3)])
def test_reading_is_timed_without_how_it_begins(seconds, batches, monkeypatch):
    """Batches of 4: up to 200 images, or as many as a second is enough for."""
    taken, now = [], [0.0]

    def images(size, step):
        now[0] += 0.3
        while True:
            now[0] += size * seconds
            taken.append(size)
            yield

    clock = types.SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(speed, "time", clock)
    data = types.SimpleNamespace(image_indices=range(1000), images=images)
    found = seconds_of_reading(types.SimpleNamespace(data=data))
    assert found == pytest.approx(seconds)
    assert len(taken) == 1 + batches


def test_a_run_ends_within_its_time(monkeypatch, tmp_path, capsys):
    """Of 5,600 updates, which should take 112 s."""
    plans_of = timetable.plans_of

    def plans(run, stages):
        found = plans_of(run, stages)
        speed = Speed(0.02, 2.0)
        return {s: dataclasses.replace(p, speed=speed) for s, p in found.items()}

    monkeypatch.setattr(timetable, "plans_of", plans)
    flags = ["--stages=finetune,semi_finetune,export", "--labels_per_class=2"]
    flags += ["--preset=best", "--xla=off", "--time_limit=45s"]
    assert main(["main.py", *flags, f"--workdir={tmp_path}"]) == 0
    epochs = json.loads((tmp_path / "semi_finetune/DONE").read_text())["epochs"]
    assert 1 <= epochs < 150  # of 358
    assert "; less will be done, to end in 0:45" in capsys.readouterr().out
    assert (tmp_path / "export/1/saved_model.pb").exists()
