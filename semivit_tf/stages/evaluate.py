"""The kind of stage that tests classifiers on images that nothing was chosen by."""

from semivit_tf.evaluation.comparison import compare_predictions, verdict
from semivit_tf.evaluation.metrics import evaluate_probabilities
from semivit_tf.evaluation.pseudo_labels import pseudo_label_table
from semivit_tf.evaluation.tables import results_table
from semivit_tf.stages import calibration
from semivit_tf.stages.export import served_weights
from semivit_tf.stages.held_out import held_out, predict_with, probabilities_of
from semivit_tf.stages.result_file import (
    DamagedResultError,
    read_result,
    write_result,
)
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import (
    Kept,
    Source,
    check_answer,
    chosen_checkpoint,
    kept_by,
    starting_weights,
)

_FILE = "evaluation.json"
_AGAINST = "_against_"  # between what answers and what its stage started from


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


def finished_stages(run, stage):
    """Returns the finished stages whose classifiers a stage looks at, in order."""
    return [
        earlier
        for earlier in run.pipeline
        if earlier.name in stage.starts_from and run.stage_folder(earlier).done
    ]


def continued(run, trained):
    """Returns the `Kept` classifier that a stage learned on from, or None."""
    source = starting_weights(run, trained)
    if source == Source() or not trained.kind.needs_weights(run.settings(trained)):
        return None
    return kept_by(run, source, "student")


def evaluate(run, stage):
    """Tests all weights that are there; writes and returns `evaluation.json`.

    What was measured before stays as long as it is of the same files, and the same is
    asked of the answers.
    """
    there = weights_there(run, stage)
    before = _read(run) or {"results": []}
    content = {**before, "results": [dict(row) for row in before["results"]]}
    origins = [(kept.names, kept.digest(run)) for kept in there]
    same = before.get("asked") == calibration.promises(run)
    if not there or [_origin(row) for row in before["results"]] != origins or not same:
        content = measured(run, stage, there)
    served = served_weights(run, stage)
    for row, kept in zip(content["results"], there, strict=False):
        row["exported"] = kept == served
    if content != before:
        write_result(run.folder.path / _FILE, content)
    return content


def _read(run):
    try:
        return read_result(run.folder.path / _FILE)
    except DamagedResultError as error:
        run.say(f"{error}: measured again")
        return None


def _origin(row):
    best = ["best"] if row["checkpoint"] == "best" else []
    return [row["stage"], row["weights"], *best], row["weights_sha256"]


def measured(run, stage, there):
    """Returns the evaluation of a list of `Kept` weights."""
    part, batches = held_out(run)
    content = {"part": part, "asked": calibration.promises(run), "results": []}
    if part is None:
        return content
    network, names, predicted = run.classifier(), run.data.class_names, {}
    predict, validation = predict_with(network, run), run.data.validation()
    for kept in there:
        labels, scores = predict(kept, batches)
        probabilities = probabilities_of(scores)
        predicted[kept] = probabilities.argmax(axis=1)
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
    return {**content, **compared(run, stage, labels, predicted)}


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


def compared(run, stage, labels, predicted):
    """Compares what answers after the last stage with what that stage started from.

    Args:
        run: `Run`.
        stage: `Stage` that evaluates.
        labels: Integer array `[N]`.
        predicted: Dict of `Kept` weights to the classes that they predict, `[N]`.
    """
    trained = finished_stages(run, stage)
    if not trained:
        return {}
    last = trained[-1]
    start, who = continued(run, last), last.kind.answers(run.settings(last))
    answer = Kept(last, who, chosen_checkpoint(run, last))
    if start is None or answer not in predicted:
        return {}
    name = f"{who}{_AGAINST}{start.stage_name}"
    if start not in predicted:
        return {name: None}
    return {name: compare_predictions(labels, predicted[start], predicted[answer])}


def describe(content):
    """Returns what a person should read of an evaluation."""
    if content["part"] is None:
        return "No test and no validation images: how accurate this is, is not known."
    lines = [results_table(content["results"], content["part"])]
    for name, comparison in content.items():
        if _AGAINST in name and comparison is None:
            start = name.partition(_AGAINST)[2]
            lines += ["", f"No comparison: {start} is not there any more."]
        elif _AGAINST in name:
            images = content["results"][0]["images"]
            lines += ["", verdict(comparison, images, content["part"])]
    lines += [
        f"To export: {row['stage']} {row['weights']}, best of epoch {row['epoch']}."
        for row in content["results"]
        if row.get("exported") and row.get("checkpoint") == "best"
    ]
    lines += [
        f"Calibration error of {row['stage']} {row['weights']}: "
        f"{100 * row['calibration']['ece']:.1f} points, with temperatures "
        f"{100 * row['calibration']['after']['ece']:.1f}."
        for row in content["results"]
        if row.get("exported") and "after" in row["calibration"]
    ]
    if content["part"] == "validation":
        lines.append("There are no test images: validation images took their place.")
    validation = content["results"][0]["validation_labels"]
    if validation:
        lines.append(f"{validation} more labels were used for validation.")
    return "\n".join(lines)
