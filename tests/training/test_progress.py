"""What a person reads while a stage runs."""

import io
import types

import pytest

from semivit_tf.training.progress import Progress, clock


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03")]
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


def run(monkeypatch, terminal, seconds=2.0, later=0.0):
    now = [0.0]
    monkeypatch.setattr(
        "semivit_tf.training.progress.time",
        types.SimpleNamespace(monotonic=lambda: now[0]),
    )
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    progress = Progress(
        "finetune", 4, 5, ("loss", "absent"), stream=stream, later=later
    )
    progress.on_train_begin()
    for epoch in range(4):
        progress.on_epoch_begin(epoch)
        for batch in range(5):
            now[0] += seconds
            progress.on_train_batch_end(batch, {"loss": 0.5})
        progress.on_epoch_end(epoch, {"loss": 0.25})
    progress.on_train_end()
    return stream.getvalue()


def test_lines_state_epoch_metric_rate_and_time_left(monkeypatch):
    assert run(monkeypatch, terminal=False, seconds=1.0).splitlines() == [
        "finetune: 4 epochs of 5 steps, 20 in all",
        "finetune  epoch 1/4  loss 0.250  1.0 steps/s  0:15 left",
        "finetune  epoch 2/4  loss 0.250  1.0 steps/s  0:10 left",
        "finetune  epoch 3/4  loss 0.250  1.0 steps/s  0:05 left",
        "finetune  epoch 4/4  loss 0.250  1.0 steps/s  took 0:19",
    ]


def test_long_epochs_have_lines_inside_and_the_last_step_has_one(monkeypatch):
    lines = run(monkeypatch, terminal=False, seconds=15.0).splitlines()
    assert len(lines) == 1 + 20 + 3  # a step each, but for the end of an epoch
    assert [line for line in lines if "epoch 4/4" in line][-2:] == [
        "finetune  epoch 4/4  loss 0.500  0.1 steps/s  0:15 left",
        "finetune  epoch 4/4  loss 0.250  0.1 steps/s  took 4:45",
    ]


def test_the_time_left_of_later_stages_is_counted_in_steps(monkeypatch):
    """After 5 of 20 steps of a second, 15 are left, and 60 as long as these."""
    lines = run(monkeypatch, terminal=False, seconds=1.0, later=60.0).splitlines()
    assert lines[1].endswith("1.0 steps/s  0:15 left  1:15 in all")
    assert lines[4].endswith("took 0:19")


def test_on_a_terminal_one_line_is_renewed(monkeypatch):
    text = run(monkeypatch, terminal=True)
    assert text.count("\n") == 2
    assert text.count("\r") == 20


def test_an_accuracy_on_few_images_has_its_limits():
    stream = io.StringIO()
    shown = ("loss", "val_accuracy")
    progress = Progress(
        "finetune", 1, 1, shown, stream=stream, interval=lambda share: (0.25, 0.84)
    )
    progress.on_train_begin()
    progress.on_epoch_begin(0)
    progress.on_train_batch_end(0, {"loss": 0.5})
    progress.on_epoch_end(0, {"val_accuracy": 0.5714})
    assert "loss 0.500  val accuracy 0.571 (0.25 to 0.84)" in progress.line()
