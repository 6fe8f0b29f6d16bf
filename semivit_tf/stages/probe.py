"""The kind of stage that measures features before anything is fine-tuned."""

import json

import numpy as np
import tensorflow as tf

from semivit_tf.backbones import find_family
from semivit_tf.evaluation.cross_validation import NEIGHBORS, cross_validate
from semivit_tf.evaluation.interval import in_percent
from semivit_tf.evaluation.linear_probe import linear_probe
from semivit_tf.evaluation.nearest_neighbors import PUBLISHED_COUNTS, vote_of_neighbors
from semivit_tf.evaluation.tables import text_table
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.folds import folds_of
from semivit_tf.stages.held_out import held_out, held_out_index
from semivit_tf.stages.kept_features import Features
from semivit_tf.stages.predictions import (
    Predictions,
    read_predictions,
    write_predictions,
)
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import (
    handed_on,
    load_file,
    refuse_unfinished,
    starting_weights,
)
from semivit_tf.training.weight_files import load_weights


class Probe(Kind):
    """Measures the encoder that the stage starts from; writes `<stage>.json`."""

    uses_folds = True

    def check(self, run, stage):
        refuse_unfinished(run, stage)
        if run.config.run.folds:
            folds_of(run)
        if starting_weights(run, stage).stage is None:
            with input_errors():
                encoder(run.quiet(), stage)
        return run

    def carry_out(self, run, stage):
        run.say("\n" + describe(probe(run, stage)) + "\n")


def known_images(run):
    """Returns the training images whose labels may be used."""
    split, labels = run.data.split, run.data.parts.train.labels
    if run.config.run.probe_labels == "labeled":
        return split.labeled
    everything = np.union1d(split.labeled, split.unlabeled)
    return everything[labels[everything] >= 0]


def encoder(run, stage):
    """Returns whose weights are measured, and the network with them."""
    source = starting_weights(run, stage)
    run.seed_stage(stage)
    if source.stage:
        network = source.stage.kind.encoder(run, source.stage)
        load_weights(network, handed_on(run, source.stage, "encoder"))
        summary = run.stage_folder(source.stage).summary()
        return f"{source.name} {summary['method']}", network
    if source.file:
        network = run.backbone()
        load_file(run, network)
        return source.file, network
    return "untrained", _untrained(run, stage)


def _untrained(run, stage):
    """Builds the encoder as the stage would get it, had it been trained."""
    if find_family(run.config.backbone.backbone) == "vit":
        for earlier in run.pipeline:
            if earlier.name in stage.starts_from:
                return earlier.kind.encoder(run, earlier)
    return run.backbone()


def measure(known, labels, queries, truth, num_classes):
    """Returns accuracies of neighbours and of a linear probe on given features.

    With them come the classes that the linear probe predicts, `[M]`.
    """
    counts = [count for count in PUBLISHED_COUNTS if count < len(known)]
    neighbors = {
        str(count): float(
            np.mean(
                vote_of_neighbors(known, labels, queries, num_classes, count) == truth
            )
        )
        for count in counts or [len(known)]
    }
    classes, penalty = linear_probe(known, labels, queries, num_classes)
    linear = {"accuracy": float(np.mean(classes == truth)), "penalty": penalty}
    return {"nearest_neighbors": neighbors, "linear": linear}, classes


def features_of(run, stage):
    """Returns whose weights are measured, and the `Features` that they give."""
    weights, network = encoder(run, stage)
    encode = tf.function(
        lambda images: network(images, training=False), reduce_retracing=True
    )
    return weights, Features(run, network, encode, run.config.run.probe_features)


def probe(run, stage):
    """Measures the features on held-out images; writes and returns the result."""
    part, _ = held_out(run)
    content, folds = {"part": part}, run.config.run.folds
    if part is not None or folds:
        weights, features = features_of(run, stage)
        content = {"weights": weights, "part": part}
    if part is not None:
        content |= on_held_out(run, stage, features, part)
    if folds:
        content["cross_validation"] = on_folds(run, features)
    run.folder.write_json(_file(run, stage).name, content)
    return content


def _file(run, stage):
    return run.folder.path / f"{stage.name}.json"


def probe_predictions(run, stage):
    """Returns the `Predictions` of an earlier probe, or None where it left none."""
    try:
        content = json.loads(_file(run, stage).read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    return read_predictions(_file(run, stage), content)


def asked(run, features, part):
    """Returns the features and labels of the images that are held out.

    Args:
        run: `Run`.
        features: `Features` of its images.
        part: `"test"` or `"validation"`.
    """
    parts = run.data.parts
    if part == "test":
        return features.of_test(), np.delete(parts.test.labels, parts.bad_test)
    validation = run.data.split.validation
    return features.of_training(validation), parts.train.labels[validation]


def on_held_out(run, stage, features, part):
    """Returns what features of known images say of those held out.

    What the linear probe answers on each of them is written beside the result.
    """
    indices = known_images(run)
    labels = run.data.parts.train.labels[indices]
    queries, truth = asked(run, features, part)
    known = features.of_training(indices)
    found, classes = measure(known, labels, queries, truth, run.num_classes)
    index = held_out_index(run, part)
    answered = Predictions(index, truth, {"linear": classes})
    return {
        "labels_used": len(indices),
        "images": len(truth),
        **found,
        **write_predictions(_file(run, stage), answered),
    }


def on_folds(run, features):
    """Returns what features of the labelled images say of each other."""
    labeled = run.data.split.labeled
    labels = run.data.parts.train.labels[labeled]
    known = features.of_training(labeled)
    return cross_validate(known, labels, folds_of(run), run.num_classes)


def describe(content):
    """Returns what a person should read of it."""
    texts = []
    if content["part"] is not None:
        texts.append(_table(content))
    if "cross_validation" in content:
        texts.append(_of_folds(content["cross_validation"]))
    if not texts:
        return "No test and no validation images: features cannot be probed."
    return "\n\n".join(texts)


def _of_folds(found):
    ways = {"nearest_neighbors": f"{NEIGHBORS} neighbours", "linear": "linear"}
    shares = [
        f"{title} {in_percent(found[name]['accuracy'], found['images'])}"
        for name, title in ways.items()
    ]
    return (
        f"{found['images']} labelled images, each by those of the other "
        f"{found['folds'] - 1} folds: {', '.join(shares)}"
    )


def _table(content):
    neighbors, images = content["nearest_neighbors"], content["images"]
    rows = [
        (
            content["weights"],
            content["labels_used"],
            *(in_percent(accuracy, images) for accuracy in neighbors.values()),
            in_percent(content["linear"]["accuracy"], images),
        )
    ]
    names = [f"{count} neighbours" for count in neighbors]
    header = ("features", "labels used", *names, f"linear ({content['part']})")
    return text_table(header, rows)
