"""The kind of stage that measures features before anything is fine-tuned."""

import numpy as np
import tensorflow as tf

from semivit_tf.backbones import find_family
from semivit_tf.evaluation.features import extract_features
from semivit_tf.evaluation.interval import in_percent
from semivit_tf.evaluation.linear_probe import linear_probe
from semivit_tf.evaluation.nearest_neighbors import PUBLISHED_COUNTS, vote_of_neighbors
from semivit_tf.evaluation.tables import text_table
from semivit_tf.stages.evaluate import held_out
from semivit_tf.stages.failures import input_errors
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

    def check(self, run, stage):
        refuse_unfinished(run, stage)
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
    """Returns accuracies of neighbours and of a linear probe on given features."""
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
    return {"nearest_neighbors": neighbors, "linear": linear}


def probe(run, stage):
    """Measures the features on held-out images; writes and returns the result."""
    part, batches = held_out(run)
    if part is None:
        content = {"part": None}
        run.folder.write_json(f"{stage.name}.json", content)
        return content
    weights, network = encoder(run, stage)

    encode = tf.function(
        lambda images: network(images, training=False), reduce_retracing=True
    )
    indices = known_images(run)
    known, labels = extract_features(encode, run.data.as_evaluated(indices))
    queries, truth = extract_features(encode, batches)
    content = {
        "weights": weights,
        "labels_used": len(indices),
        "part": part,
        "images": len(truth),
        **measure(known, labels, queries, truth, run.num_classes),
    }
    run.folder.write_json(f"{stage.name}.json", content)
    return content


def describe(content):
    """Returns what a person should read of it."""
    if content["part"] is None:
        return "No test and no validation images: features cannot be probed."
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
