"""The kind of stage that tests classifiers on images that nothing was chosen by."""

from semivit_tf.evaluation.metrics import evaluate_probabilities
from semivit_tf.evaluation.pseudo_labels import pseudo_label_table
from semivit_tf.evaluation.tables import results_table
from semivit_tf.stages import calibration
from semivit_tf.stages.gains import (
    chosen,
    compared,
    finished_stages,
    is_comparison,
    sentences,
)
from semivit_tf.stages.held_out import (
    continued,
    held_out,
    held_out_index,
    predict_with,
    probabilities_of,
)
from semivit_tf.stages.predictions import (
    Predictions,
    beside,
    read_predictions,
    write_predictions,
)
from semivit_tf.stages.result_file import (
    DamagedResultError,
    read_result,
    write_result,
)
from semivit_tf.stages.served_weights import served_weights
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import (
    Kept,
    check_answer,
    chosen_checkpoint,
    kept_by,
    starting_weights,
)

FILE = "evaluation.json"


class Evaluate(Kind):
    """Tests all classifiers of the stages that it starts from."""

    def needs_weights(self, settings):
        return True

    def check(self, run, stage):
        check_answer(run, stage)
        return run

    def carry_out(self, run, stage):
        run.say("\n" + describe(evaluate(run, stage)) + "\n")


def weights_there(run, stage):
    """Returns a list of the `Kept` weights to test, in the order of the table."""
    source = starting_weights(run, stage)
    if source.file:
        return [kept_by(run, source)]
    found = []
    for trained in finished_stages(run, stage):
        start = continued(run, trained)
        if start and start.stage is None and start.path(run).exists():
            found.append(start)
        kept = [
            Kept(trained, network, checkpoint)
            for network in run.networks(trained)
            for checkpoint in ("last", "best")
        ]
        found += [one for one in kept if one.path(run).exists()]
    return found


def evaluate(run, stage):
    """Tests all weights that are there; writes and returns `evaluation.json`.

    What was measured before stays as long as it is of the same files, and the same is
    asked of the answers. Comparisons are made anew from what was answered on each
    image.
    """
    file, there = run.folder.path / FILE, weights_there(run, stage)
    before = _read(run) or {"results": []}
    content, predicted = before, read_predictions(file, before)
    same = [_origin(row) for row in before["results"]] == [
        (kept.names, kept.digest(run)) for kept in there
    ]
    if same and before["results"] and predicted is None:
        run.say(f"{beside(file)} is not as it was written: measured again")
    same = same and before.get("asked") == calibration.promises(run)
    if not there or not same or predicted is None:
        content, predicted = measured(run, stage, there)
        if predicted is not None:
            content |= write_predictions(file, predicted)
    content = {
        name: value for name, value in content.items() if not is_comparison(name)
    }
    content["results"] = [dict(row) for row in content["results"]]
    served = served_weights(run, stage)
    for row, kept in zip(content["results"], there, strict=False):
        row["exported"] = kept == served
    if predicted is not None:
        content |= compared(run, stage, predicted)
    content |= chosen(run, stage)
    if content != before:
        write_result(file, content)
    return content


def _read(run):
    try:
        return read_result(run.folder.path / FILE)
    except DamagedResultError as error:
        run.say(f"{error}: measured again")
        return None


def _origin(row):
    best = ["best"] if row["checkpoint"] == "best" else []
    return [row["stage"], row["weights"], *best], row["weights_sha256"]


def measured(run, stage, there):
    """Returns the evaluation of a list of `Kept` weights, and the `Predictions`."""
    part, batches = held_out(run)
    content = {"part": part, "asked": calibration.promises(run), "results": []}
    if part is None or not there:
        return content, None
    network, names, predicted = run.classifier(), run.data.class_names, None
    predict, validation = predict_with(network, run), run.data.validation()
    for kept in there:
        labels, scores = predict(kept, batches)
        probabilities = probabilities_of(scores)
        if predicted is None:
            predicted = Predictions(held_out_index(run, part), labels)
        predicted.add(" ".join(kept.names), probabilities)
        row = described(run, kept)
        row |= evaluate_probabilities(labels, probabilities, names)
        if network.streams:
            row["streams"] = of_streams(network.streams, labels, scores)
        known = None if validation is None else predict(kept, validation)
        if known and kept.stage and kept.stage.kind.labels_images:
            table = pseudo_label_table(known[0], probabilities_of(known[1]), names)
            row["validation_pseudo_labels"] = table
        fitted = known and calibration.fit(*known, **content["asked"])
        row["calibration"] = calibration.evaluated(
            fitted, labels, scores, apart=part == "test"
        )
        content["results"].append(row)
    return content, predicted


def of_streams(streams, labels, scores):
    """Returns the accuracy of each stream's scores by its name."""
    right = scores.argmax(axis=-1) == labels[:, None]  # [N, S]
    return dict(zip(streams, right.mean(axis=0).tolist(), strict=True))


def described(run, kept):
    """Returns what a row of the results says of its weights."""
    split, epoch, handed_on = run.data.split, None, True
    if kept.stage:
        summary = run.stage_folder(kept.stage).summary()
        epoch = summary.get("epochs")
        if kept.checkpoint == "best":
            epoch = summary["best"]["epoch"]
        handed_on = kept.checkpoint == chosen_checkpoint(run, kept.stage)
    return {
        "stage": kept.stage_name,
        "weights": kept.network,
        "checkpoint": kept.checkpoint,
        "weights_sha256": kept.digest(run),
        "epoch": epoch,
        "handed_on": handed_on,
        "labels_used": len(split.labeled) if kept.stage else None,
        "validation_labels": len(split.validation),
    }


def describe(content):
    """Returns what a person should read of an evaluation."""
    if content["part"] is None:
        return "No test and no validation images: how accurate this is, is not known."
    lines = [results_table(content["results"], content["part"])]
    lines += [line for sentence in sentences(content) for line in ("", sentence)]
    lines += [
        f"Calibration error of {row['stage']} {row['weights']}: "
        f"{100 * row['calibration']['ece']:.1f} points, with temperatures "
        f"{100 * row['calibration']['after']['ece']:.1f}."
        for row in content["results"]
        if row.get("exported") and "after" in row["calibration"]
    ]
    lines += [
        f"To export: {row['stage']} {row['weights']}, best of epoch {row['epoch']}."
        for row in content["results"]
        if row.get("exported") and row.get("checkpoint") == "best"
    ]
    if content["part"] == "validation":
        lines.append("There are no test images: validation images took their place.")
    validation = content["results"][0]["validation_labels"]
    if validation:
        lines.append(f"{validation} more labels were used for validation.")
    return "\n".join(lines)
