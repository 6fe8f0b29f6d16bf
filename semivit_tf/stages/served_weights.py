"""Which weights are served: those of the latest stage, unless they are clearly worse.

Where nothing else is said and there are validation images, what answers after a stage
that learned from unlabelled images is compared on them with what the stage started
from. If it is clearly worse there, what the stage started from is served. Test images
have no say. Epochs were chosen on the same validation images, in both stages: this is a
safeguard, and no measurement.
"""

import numpy as np

from semivit_tf.evaluation.comparison import HURT, compare_predictions
from semivit_tf.stages.held_out import classes_of, continued, predict_with
from semivit_tf.stages.result_file import (
    DamagedResultError,
    read_result,
    write_result,
)
from semivit_tf.stages.starting_weights import Kept, kept_by, starting_weights

FILE = "export_choice.json"


def latest_weights(run, stage) -> Kept:
    """Returns the weights of the latest stage, or those of `--init_from`.

    They are those of the network that answers in that stage, unless `--export_weights`
    says otherwise.
    """
    network, source = run.config.export.weights, starting_weights(run, stage)
    if network == "auto" and source.stage:
        network = source.stage.kind.answers(run.settings(source.stage))
    return kept_by(run, source, network)


def candidates(run, stage) -> list[Kept]:
    """Returns all weights of which `served_weights` may turn out to be one.

    The latest come first. What is known before the stages have run is enough.
    """
    latest = latest_weights(run, stage)
    if run.config.export.weights != "auto" or latest.stage is None:
        return [latest]
    start = continued(run, latest.stage)
    if start is None or not latest.stage.kind.labels_images:
        return [latest]
    return [latest, start] if len(run.data.split.validation) else [latest]


def served_weights(run, stage) -> Kept:
    """Returns the weights to serve; those of the stages that are asked for exist."""
    latest, *start = candidates(run, stage)
    found = validation_choice(run, stage)
    return start[0] if found and found["answer"] == HURT else latest


def validation_choice(run, stage):
    """Returns how the weights to serve were chosen, or None where nothing was.

    It is kept in `export_choice.json` for as long as both files of weights stay as they
    are.

    Returns:
        Dict of `latest` and `start`, the names of the weights, the digests of their
        files, `images`, how many decided, and what `compare_predictions` found.
    """
    both = candidates(run, stage)
    if len(both) < 2 or not all(kept.path(run).exists() for kept in both):
        return None
    about = {
        "latest": both[0].names,
        "start": both[1].names,
        "weights_sha256": [kept.digest(run) for kept in both],
    }
    file = run.folder.path / FILE
    try:
        before = read_result(file) or {}
    except DamagedResultError as error:
        run.say(f"{error}: compared again")
        before = {}
    if all(before.get(name) == value for name, value in about.items()):
        return before
    predict = predict_with(run.classifier(), run.quiet())
    labels, latest = classes_of(predict, both[0], run.data.validation())
    _, start = classes_of(predict, both[1], run.data.validation())
    compared = compare_predictions(labels, start, latest)
    content = {**about, "images": int(np.size(labels)), **compared}
    write_result(file, content)
    return content


def describe(choice):
    """Returns in a sentence why not the latest weights are served, or None."""
    if not choice or choice["answer"] != HURT:
        return None
    change = 100 * choice["accuracy_change"]
    latest, start = (" ".join(choice[name]) for name in ("latest", "start"))
    return (
        f"On {choice['images']} validation images {latest} is worse than {start} by "
        f"{-change:.1f} points (p = {choice['p_value']:.2g}): {start} is exported."
    )
