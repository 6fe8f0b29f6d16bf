"""How good are the features of stage 1, before anything is fine-tuned?"""

import numpy as np
import tensorflow as tf

from semivit_tf.backbones import find_family
from semivit_tf.evaluation.features import extract_features
from semivit_tf.evaluation.linear_probe import linear_probe
from semivit_tf.evaluation.nearest_neighbors import PUBLISHED_COUNTS, vote_of_neighbors
from semivit_tf.evaluation.tables import text_table
from semivit_tf.stages import pretrain
from semivit_tf.stages.evaluate import held_out
from semivit_tf.training.weight_files import load_weights

STAGE = "probe"


def known_images(run):
    """Returns the training images whose labels may be used."""
    split, labels = run.data.split, run.data.parts.train.labels
    if run.config.run.probe_labels == "labeled":
        return split.labeled
    everything = np.union1d(split.labeled, split.unlabeled)
    return everything[labels[everything] >= 0]


def encoder(run):
    """Returns whose weights are looked at, and the network with them."""
    pretrained = run.folder.stage(pretrain.STAGE)
    run.seed_stage(STAGE)
    if pretrained.done:
        network = pretrain.encoder(run)
        load_weights(network, pretrained.weights("encoder"))
        return f"{pretrain.STAGE} {pretrained.summary()['method']}", network
    if run.config.backbone.init_from is None:
        vit = find_family(run.config.backbone.backbone) == "vit"
        return "untrained", pretrain.encoder(run) if vit else run.backbone()
    network = run.backbone()
    run.load_initial(network)
    return run.config.backbone.init_from, network


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


def probe(run):
    """Measures the features on held-out images; writes and returns `probe.json`."""
    part, batches = held_out(run)
    if part is None:
        content = {"part": None}
        run.folder.write_json("probe.json", content)
        return content
    weights, network = encoder(run)

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
    run.folder.write_json("probe.json", content)
    return content


def describe(content):
    """Returns what a person should read of it."""
    if content["part"] is None:
        return "No test and no validation images: features cannot be probed."
    neighbors = content["nearest_neighbors"]
    rows = [
        (
            content["weights"],
            content["labels_used"],
            *(f"{100 * accuracy:.2f} %" for accuracy in neighbors.values()),
            f"{100 * content['linear']['accuracy']:.2f} %",
        )
    ]
    names = [f"{count} neighbours" for count in neighbors]
    header = ("features", "labels used", *names, f"linear ({content['part']})")
    return text_table(header, rows)
