"""A stage ends early when validation no longer improves, or when its time is up."""

import io
import json
import time
import types

import keras
import pytest
import tensorflow as tf

from semivit_tf.methods.classifier import Classifier
from semivit_tf.training.checkpoints import Position
from semivit_tf.training.early_end import EndEarly, logged_values
from semivit_tf.training.loop import Job, train
from tests.methods.small import semi_batch, small_vit


def ended_after(values, patience, before=()):
    """Returns after which epoch training ends, and the line that says so."""
    stream = io.StringIO()
    end = EndEarly("finetune", "accuracy", patience, values=before, stream=stream)
    end.set_model(types.SimpleNamespace(stop_training=False))
    for epoch, value in enumerate(values):
        end.on_epoch_end(epoch, {} if value is None else {"accuracy": value})
        if end.model.stop_training:
            assert end.made
            return epoch + 1, stream.getvalue().strip()
    assert not stream.getvalue()
    return None


@pytest.mark.parametrize(
    ("values", "patience", "expected"),
    [
        ([0.1, 0.2, 0.2, 0.1, 0.9], 2, 4),
        ([0.1, None, 0.1, None, 0.1], 2, 5),  # epochs without validation do not count
        ([0.1, 0.2, 0.3], 1, None),
        ([0.5, 0.5], 1, 2),  # as good is not better
        ([0.1, 0.1, 0.1], None, None),
    ],
)
def test_validations_without_an_improvement_are_counted(values, patience, expected):
    found = ended_after(values, patience)
    assert (found and found[0]) == expected


def test_the_line_says_what_was_not_reached():
    assert ended_after([0.25, 0.2], 1)[1] == (
        "finetune ends after epoch 2: 1 validations in a row were not better than 0.250"
    )


def test_what_was_before_a_stop_counts():
    assert ended_after([0.3], 2, before=[0.5, 0.4])[0] == 1
    assert EndEarly("finetune", "accuracy", 2, values=[0.5, 0.4, 0.5]).made


def test_values_of_epochs_that_run_again_do_not_count(tmp_path):
    lines = [{"epoch": n, "accuracy": n / 10} for n in (1, 2, 3)]
    lines[1].pop("accuracy")
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert logged_values(file, "accuracy", 3) == [0.1, 0.3]
    assert logged_values(file, "accuracy", 2) == [0.1]
    assert logged_values(tmp_path / "none", "accuracy", 2) == []


@pytest.fixture(scope="module")
def model():
    made = Classifier(small_vit(), 3)
    made.compile(keras.optimizers.SGD(0.0))  # nothing improves
    return made


def job(folder, **options):
    views, labels = semi_batch(4, 4)
    batch = keras.tree.map_structure(lambda rows: rows[:4], (views["image"], labels))
    data = tf.data.Dataset.from_tensors(batch)
    stream = lambda step: data.repeat()  # noqa: E731
    made = Job(
        stage="finetune",
        folder=folder,
        epochs=6,
        steps_per_epoch=2,
        validation_data=data,
        best=("student", "val_accuracy"),
        **options,
    )
    return stream, made


def test_training_ends_in_a_state_that_is_kept(model, tmp_path, capsys):
    stream, given = job(tmp_path, patience=2)
    assert train(model, stream, given) == Position(3, 6)
    assert "finetune ends after epoch 3" in capsys.readouterr().out
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 3
    (checkpoint,) = (tmp_path / "checkpoints").glob("step-*6.*")
    # The same command again has nothing left to do.
    assert train(model, stream, given) == Position(3, 6)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3
    assert checkpoint.exists()


def test_training_ends_when_time_is_up(model, tmp_path, capsys):
    stream, given = job(tmp_path, deadline=time.monotonic() - 65)
    assert train(model, stream, given) == Position(1, 2)
    assert "finetune ends after epoch 1: its time was up 1:0" in capsys.readouterr().out
    stream, given = job(tmp_path / "later", deadline=time.monotonic() + 600)
    assert train(model, stream, given) == Position(6, 12)
