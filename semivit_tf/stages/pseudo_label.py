"""The kind of stage in which a classifier labels all training images."""

import csv

import numpy as np

from semivit_tf.stages.held_out import predict_with
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import (
    check_answer,
    kept_by,
    refuse_unfinished,
    starting_weights,
)
from semivit_tf.whole_file import open_whole

FILE = "labels.csv"


class PseudoLabel(Kind):
    """Writes the likeliest class of each training image, labelled ones among them.

    True labels are not looked at, and no image is left out.
    """

    def needs_weights(self, settings):
        return True

    def check(self, run, stage):
        refuse_unfinished(run, stage)
        check_answer(run, stage)
        return run

    def carry_out(self, run, stage):
        if run.did_before(stage):
            return
        kept, indices = answering(run, stage), run.data.image_indices
        predict = predict_with(run.classifier(), run)
        _, scores = predict(kept, run.data.as_evaluated(indices))
        classes = scores.sum(axis=1).argmax(axis=1)
        folder = run.stage_folder(stage)
        with open_whole(folder.path / FILE) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("index", "label"))
            writer.writerows(zip(indices.tolist(), classes.tolist(), strict=True))
        counts = np.bincount(classes, minlength=run.num_classes).tolist()
        folder.finish(
            started_from=" ".join(kept.names),
            weights_sha256=kept.digest(run),
            images=len(indices),
            images_of_classes=dict(zip(run.data.class_names, counts, strict=True)),
        )
        run.say(
            f"{stage.name}: {len(indices)} images by {' '.join(kept.names)}; "
            f"{min(counts)} to {max(counts)} of a class"
        )


def answering(run, stage):
    """Returns the `Kept` weights of the network that answers for a stage's start."""
    source = starting_weights(run, stage)
    if source.file:
        return kept_by(run, source)
    start = source.stage
    return kept_by(run, source, start.kind.answers(run.settings(start)))


def read_labels(path, count):
    """Returns the indices that were labelled, and labels `[count]`, -1 elsewhere.

    Args:
        path: Path of the file that the stage wrote.
        count: Integer. How many images there are.
    """
    with open(path, encoding="utf-8", newline="") as file:
        rows = [(int(row["index"]), int(row["label"])) for row in csv.DictReader(file)]
    indices, classes = np.array(rows, np.int64).T
    labels = np.full(count, -1, np.int32)
    labels[indices] = classes
    return indices, labels
