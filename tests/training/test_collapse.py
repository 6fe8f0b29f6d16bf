"""When collapsed pseudo labels are noticed, and what is said."""

import io

import pytest

from semivit_tf.training.collapse import CollapseAlarm, CollapseError


def alarm(**options):
    stream = io.StringIO()
    options = {"images": 1000, "classes": 10.0, "advice": "rest", **options}
    return CollapseAlarm("semi_finetune", stream=stream, **options), stream


def test_uneven_pseudo_labels_are_said_once_after_two_epochs():
    callback, stream = alarm()
    logs = {"kept": 0.8, "pseudo_label_classes": 1.2}
    callback.on_epoch_end(0, logs)
    assert stream.getvalue() == "" and logs["collapsed"] == 1.0
    for epoch in (1, 2):
        callback.on_epoch_end(epoch, dict(logs))
    assert stream.getvalue() == (
        "\nsemi_finetune: in epoch 2 80 % of the pseudo labels count, as uneven as 1.2 "
        "classes; the labelled images are of 10.0. Try rest\n"
    )


@pytest.mark.parametrize(
    "logs",
    [
        {"kept": 0.8, "pseudo_label_classes": 5.1},  # at least half of the classes
        {"kept": 0.04, "pseudo_label_classes": 1.0},  # 40 of 1,000 images: too few
        {
            "kept": 0.8,
            "pseudo_label_classes": 9.0,
            "val_pseudo_label_coverage": 0.8,
            "val_pseudo_label_precision": 0.5,
        },
        {"loss": 1.0},  # no pseudo labels
    ],
)
def test_what_is_no_collapse(logs):
    callback, stream = alarm(stop=True)
    for epoch in range(3):
        callback.on_epoch_end(epoch, logs)
    assert stream.getvalue() == "" and logs["collapsed"] == 0.0


def test_two_epochs_that_are_not_in_a_row_are_no_collapse():
    callback, _ = alarm(stop=True)
    for epoch, spread in enumerate([1.0, 9.0, 1.0]):
        callback.on_epoch_end(epoch, {"kept": 1.0, "pseudo_label_classes": spread})


def test_wrong_pseudo_labels_of_validation_images_end_a_run_that_asks_for_it():
    callback, _ = alarm(stop=True)
    logs = {
        "kept": 0.8,
        "pseudo_label_classes": 9.0,
        "val_pseudo_label_coverage": 0.46,
        "val_pseudo_label_precision": 0.2,
    }
    callback.on_epoch_end(0, logs)
    with pytest.raises(CollapseError, match="epoch 2 46 % of the .* and 20 % of those"):
        callback.on_epoch_end(1, logs)
