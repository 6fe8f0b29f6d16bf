"""The kind of stage that lists labelled images whose label may be wrong.

What answers has not learned the label that it judges: with `--folds`, the networks that
were fine-tuned without a fold, and else linear probes of features that were learned
without labels.
"""

import numpy as np
import tensorflow as tf

from semivit_tf.config.settings import InputError
from semivit_tf.evaluation.cross_validation import held_out_scores
from semivit_tf.evaluation.label_suspects import label_suspects
from semivit_tf.evaluation.linear_probe import FALLBACK
from semivit_tf.stages.folds import CrossValidate, folds_of, held_out_answers
from semivit_tf.stages.hand_tables import HandTable
from semivit_tf.stages.held_out import probabilities_of
from semivit_tf.stages.probe import Probe, features_of
from semivit_tf.stages.starting_weights import Source, starting_weights

_FOLDS = 5
COLUMNS = {
    "rank": "number",
    "path": "text",
    "label": "text",
    "label_probability": "number",
    "answer": "text",
    "probability": "number",
}


class Suspects(Probe):
    """Compares each label with what was learned from the other folds' labels."""

    def check(self, run, stage):
        labels = run.data.parts.train.labels[run.data.split.labeled]
        repeated = np.bincount(labels, minlength=2) > 1
        if repeated.sum() < 2:
            raise InputError(
                f"--stages={stage.name} needs two classes of two labelled images or "
                f"more. Received: {repeated.sum()} such classes"
            )
        if not fold_stages(run) and starting_weights(run, stage) == Source():
            raise InputError(
                f"--stages={stage.name} needs what has not learned the labels: the "
                f"stage {' or '.join(stage.starts_from)}, --init_from, or fine-tuning "
                "with --folds"
            )
        folds_of(run, folds_without(run))
        return super().check(run, stage)

    def carry_out(self, run, stage):
        run.say(f"{stage.name}: {describe(*find(run, stage))}")


def folds_without(run):
    """Returns how many folds there are without `--folds`."""
    return min(_FOLDS, len(run.data.split.labeled))


def fold_stages(run):
    """Returns the stages that were or will be trained without a fold each, or none."""
    for stage in run.pipeline:
        if isinstance(stage.kind, CrossValidate):
            if all(run.has(trained) for trained in stage.kind.trained):
                return stage.kind.trained
    return ()


def held_out_probabilities(run, stage):
    """Returns who answers, and what it says of all labelled images `[N, K]`."""
    labeled, trained = run.data.split.labeled, fold_stages(run)
    if trained:
        found = np.empty((len(labeled), run.num_classes), "float32")
        for apart, _, scores in held_out_answers(run, trained):
            found[apart] = probabilities_of(scores)
        return f"{len(trained)} networks", found
    weights, features = features_of(run, stage)
    scores = held_out_scores(
        features.of_training(labeled),
        run.data.parts.train.labels[labeled],
        folds_of(run, folds_without(run)),
        run.num_classes,
        FALLBACK,  # labels that may be wrong choose no penalty
    )
    return f"probes of {weights}", tf.nn.softmax(scores).numpy()


def find(run, stage):
    """Finds suspects and writes the table of them; returns a summary and the table."""
    labeled, train = run.data.split.labeled, run.data.parts.train
    labels, names = train.labels[labeled], run.data.class_names
    asked = {"--folds": run.config.run.folds, "labels": len(labeled)}
    table = HandTable(run, stage, asked)
    found = table.summary()
    if found is not None:
        return found, table
    who, probabilities = held_out_probabilities(run, stage)
    suspects, answers = label_suspects(probabilities, labels)
    # Nothing has learned a class by its only image.
    alone = np.bincount(labels, minlength=len(names))[labels] == 1
    judged = ~alone[suspects]
    suspects, answers = suspects[judged], answers[judged]
    rows = [
        {
            "rank": rank,
            "index": int(labeled[place]),
            "path": train.name(labeled[place]),
            "label": names[labels[place]],
            "label_probability": round(float(probabilities[place, labels[place]]), 6),
            "answer": names[answer],
            "probability": round(float(probabilities[place, answer]), 6),
        }
        for rank, (place, answer) in enumerate(
            zip(suspects, answers, strict=True), start=1
        )
    ]
    found = {"images": len(rows), "labels": len(labels), "alone": int(alone.sum())}
    table.write(
        COLUMNS,
        rows,
        found,
        title=f"{len(rows)} of {len(labels)} labels to look at again",
        sentences=[
            f"Judged by {who}, none of which has learned the label that it judges. "
            "Some of these labels will be right: the image is hard, then."
        ],
        texts=[
            f"labelled {row['label']}, more like {row['answer']}: "
            f"{100 * row['probability']:.0f} % against "
            f"{100 * row['label_probability']:.0f} %"
            for row in rows
        ],
    )
    return found, table


def describe(found, table):
    """Returns what a person should read of a summary."""
    text = (
        f"{found['images']} of {found['labels']} labels may be wrong, listed in "
        f"{table.table}, shown in {table.page}"
    )
    if found["alone"]:
        text += (
            f". {found['alone']} images are the only ones of their class and were not "
            "judged"
        )
    return text
