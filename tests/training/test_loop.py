"""Training in a folder: validated at the end, stopped when the loss is non-finite."""

import json
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.stop_signals import Stopped, stops_on_signals
from semivit_tf.training import loop
from semivit_tf.training.checkpoints import Position
from semivit_tf.training.loop import Job, portions, train, validated_epochs
from semivit_tf.training.non_finite import NonFiniteLossError
from tests.methods.small import semi_batch, small_vit


def values(model):
    return [variable.numpy() for variable in model.variables]


@pytest.fixture(scope="module")
def fresh():
    """Gives models as they were built; one function's is traced once per strategy."""
    built = {}

    def model(build, strategy, steps_per_execution=1):
        key = build, strategy is None, steps_per_execution
        if key not in built:
            keras.utils.set_random_seed(0)
            with (strategy or tf.distribute.get_strategy()).scope():
                made = build()
                made.optimizer.build(made.trainable_variables)
            variables = [*made.variables, *made.optimizer.variables]
            built[key] = made, [(one, one.numpy()) for one in variables]
        made, start = built[key]
        for variable, value in start:
            variable.assign(value)
        return made

    return model


@pytest.mark.parametrize(("epochs", "count"), [(136, 20), (7, 3), (5, 20), (1, 1)])
def test_the_last_epoch_is_validated(epochs, count):
    chosen = validated_epochs(epochs, count)
    assert chosen[-1] == epochs and chosen[0] >= 1
    assert len(chosen) >= min(epochs, count)
    assert len(set(np.diff(chosen))) <= 1


def test_a_non_finite_loss_stops_and_keeps_the_checkpoint(tmp_path):
    model = Classifier(small_vit(), 3)
    model.compile(keras.optimizers.SGD(0.1))
    views, labels = semi_batch()
    good = tf.data.Dataset.from_tensors((views["image"], labels))
    bad = tf.data.Dataset.from_tensors((views["image"] * np.nan, labels))
    with pytest.raises(
        NonFiniteLossError, match="finetune: loss became nan in epoch 2"
    ):
        train(
            model,
            lambda step: good.concatenate(bad).repeat().skip(step),
            Job(
                stage="finetune",
                folder=tmp_path,
                epochs=3,
                steps_per_epoch=1,
                checkpoint_seconds=0,
            ),
        )
    names = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert names == ["step-0000000001.safetensors"]
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 1


def sgd_model():
    model = SemiViT(small_vit(), 3, threshold=0.0, seed=0)
    model.compile(keras.optimizers.SGD(0.1))
    return model


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize(("view", "term"), [("image", ""), ("strong", "un")])
def test_the_term_that_was_non_finite_first_is_named(
    tmp_path, mirrored, replicas, view, term, fresh
):
    """The last of its rows spoils step 4, the weights, and all terms from then on."""
    views, labels = semi_batch()
    spoiled = views[view].copy()
    spoiled[-1] = np.nan
    good = tf.data.Dataset.from_tensors((views, labels))
    bad = tf.data.Dataset.from_tensors(({**views, view: spoiled}, labels))
    data = good.repeat(3).concatenate(bad).concatenate(good.repeat())
    model = fresh(sgd_model, mirrored if replicas == 2 else None)
    job = Job(stage="semi", folder=tmp_path, epochs=1, steps_per_epoch=60)
    with pytest.raises(NonFiniteLossError, match=f"semi: {term}labeled_loss became"):
        train(model, data.skip, job)


def test_non_finite_weights_are_found_though_no_loss_was(tmp_path, fresh):
    model = fresh(sgd_model, None)
    weight = model.student.trainable_variables[0]
    weight.assign(np.full(weight.shape, np.inf))
    data = tf.data.Dataset.from_tensors(semi_batch()).repeat()
    job = Job(stage="semi", folder=tmp_path, epochs=1, steps_per_epoch=3)
    with pytest.raises(NonFiniteLossError, match="semi: loss became nan in epoch 1"):
        train(model, data.skip, job)


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (Position(0, 0), [(0, 0, 3, 4)]),
        (Position(1, 4), [(4, 1, 3, 4)]),
        (Position(1, 6), [(6, 1, 2, 2), (8, 2, 3, 4)]),
        (Position(2, 9), [(9, 2, 3, 3)]),
        (Position(3, 12), []),
    ],
)
def test_the_rest_of_an_epoch_comes_first(position, expected):
    assert list(portions(position, epochs=3, steps_per_epoch=4)) == expected


def drawn(step):
    """Batches without end, of which the first twelve differ, from a step on."""
    batches = [semi_batch(seed=number) for number in range(step, 12)]
    data = tf.data.Dataset.from_tensors(batches[0])
    for batch in batches[1:]:
        data = data.concatenate(tf.data.Dataset.from_tensors(batch))
    return data.repeat()


def adamw_model():
    model = SemiViT(small_vit(drop_path=0.2), 3, threshold=0.0)
    model.compile(keras.optimizers.AdamW(1e-2))
    return model


def learn(fresh, folder, strategy=None, seen=None, **options):
    """Trains a fresh model; returns the folder and the values of its variables."""
    model = fresh(adamw_model, strategy, options.get("steps_per_execution", 1))
    views, labels = semi_batch(seed=99)
    job = Job(
        stage="semi_finetune",
        folder=folder,
        epochs=3,
        steps_per_epoch=4,
        validation_data=tf.data.Dataset.from_tensors((views["image"], labels)),
        best=("teacher", "val_teacher_accuracy"),
        callbacks=[EMATeacher(0.9), *([seen] if seen else [])],
        **options,
    )
    train(model, drawn, job)
    return folder, values(model)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, fresh):
    """Runs once, without a stop."""
    runs = {}

    def run(replicas, strategy):
        if replicas not in runs:
            runs[replicas] = learn(fresh, tmp_path_factory.mktemp("whole"), strategy)
        return runs[replicas]

    return run


def assert_same(run, other):
    """Of two runs, each a folder and the values of variables.

    Threads that share a sum round it as they like: the bits are for processes of their
    own, in tests/stages/test_kill.py.
    """
    assert len(run[1]) > 10
    for one, two in zip(run[1], other[1], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    logs = [
        [json.loads(line) for line in (folder / "metrics.jsonl").open()]
        for folder, _ in (run, other)
    ]
    assert len(logs[0]) == len(logs[1]) == 3
    for one, two in zip(*logs, strict=True):
        assert one == pytest.approx(two, rel=1e-4)


class StopAfter(keras.callbacks.Callback):
    """Sends the signal of Ctrl-C after so many steps."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_begin(self, batch, logs=None):
        self.steps -= 1
        if self.steps == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("steps", "replicas"), [(1, 1), (4, 1), (6, 1), (7, 2)])
def test_a_run_stopped_after_any_step_ends_as_if_it_had_not_been(
    steps, replicas, tmp_path, mirrored, monkeypatch, whole, fresh
):
    strategy = mirrored if replicas == 2 else None
    add = loop.KeepRunningMeans
    with monkeypatch.context() as patched, stops_on_signals():

        class Both(StopAfter, add):
            def __init__(self, keep):
                add.__init__(self, keep)
                self.steps = steps

        patched.setattr(loop, "KeepRunningMeans", Both)
        with pytest.raises(Stopped):
            learn(fresh, tmp_path, strategy, checkpoint_seconds=1e9)
    (path,) = (tmp_path / "checkpoints").glob("step-*")
    assert path.name == f"step-{steps:010d}.safetensors"
    assert_same(whole(replicas, strategy), learn(fresh, tmp_path, strategy))
    assert (tmp_path / "checkpoints" / "best-teacher.safetensors").exists()


@pytest.mark.parametrize("replicas", [1, 2])
def test_several_steps_an_execution_end_as_single_ones(
    replicas, tmp_path, mirrored, whole, fresh
):
    """Epochs of four steps are executions of three and one, or of what is left."""
    strategy = mirrored if replicas == 2 else None
    seen = []

    class Seen(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, int(self.model.optimizer.iterations.numpy())))

    options = {"steps_per_execution": 3, "checkpoint_steps": 1, "keep_checkpoints": 9}
    several = learn(fresh, tmp_path, strategy, seen=Seen(), **options)
    ends = [3, 4, 7, 8, 11, 12]
    assert seen == list(zip([2, 5] * 3, ends, strict=True))
    names = [path.name for path in (tmp_path / "checkpoints").glob("step-*")]
    assert sorted(int(name[5:15]) for name in names) == ends
    assert_same(whole(replicas, strategy), several)

    for end in (8, 11, 12):  # as if killed after step 7, in an epoch
        (tmp_path / f"checkpoints/step-{end:010d}.safetensors").unlink()
    again = learn(fresh, tmp_path, strategy, **options)
    assert_same(whole(replicas, strategy), again)


def test_checkpoints_come_after_so_many_steps(tmp_path, fresh):
    options = {"checkpoint_seconds": 1e9, "checkpoint_steps": 3, "keep_checkpoints": 9}
    learn(fresh, tmp_path, **options)
    names = [path.name for path in (tmp_path / "checkpoints").glob("step-*")]
    # A step that ends an epoch is kept after its validation.
    assert sorted(int(name[5:15]) for name in names) == [3, 6, 9, 12]
