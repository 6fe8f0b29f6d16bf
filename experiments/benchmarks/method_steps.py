"""What does a step of each method cost, against learning from the labels alone?

    python experiments/benchmarks/method_steps.py

A step takes 16 labelled and 48 unlabelled images of 28 pixels in memory, and every
pseudo label counts. What a method needs besides is predicted from the matrix products
of its passes through the network. Semiformer's network of two streams is compared with
the same network. How steps are timed stands in turns.py. Writes
experiments/results/method_steps.json and prints the table made from it.
"""

import statistics
import sys

from turns import (
    ROOT,
    each_machine,
    main,
    product_operations,
    random_images,
    steps_of_fit,
)

RESULT = ROOT / "experiments" / "results" / "method_steps.json"
SIDE, CLASSES, LABELED, UNLABELED = 28, 10, 16, 48
NETWORK = {"patch_size": 4, "width": 64, "depth": 6, "heads": 4}
TWO_STREAMS = {
    "width": 32,
    "heads": 4,
    "depths": (2, 2),
    "widths": (32, 64),
    "stem_width": 16,
    "stem_stride": 2,
    "patch_size": 4,
}
DECODER = {"decoder_width": 64, "decoder_depth": 2, "decoder_heads": 4}
SUPERVISED, TWICE = "supervised", "supervised, two streams"
WAYS = {
    f"ours {name}": name
    for name in (
        SUPERVISED,
        "pseudo_label",
        "pi_model",
        "mean_teacher",
        "uda",
        "fixmatch",
        "flexmatch",
        "freematch",
        "softmatch",
        "ema_teacher",
        "semi_vit",
        "semi_mae",
        TWICE,
        "semiformer",
    )
}


def reference_of(name):
    """Returns the way that has the same network and learns from labels alone."""
    return TWICE if name in (TWICE, "semiformer") else SUPERVISED


def create_classifier(two_streams=False):
    """Returns a classifier for grey images."""
    sys.path.insert(0, str(ROOT))
    import keras

    from semivit_tf.backbones.semiformer import SemiformerBackbone
    from semivit_tf.backbones.vit import ViT
    from semivit_tf.methods.classifier import Classifier
    from semivit_tf.methods.two_stream_classifier import TwoStreamClassifier

    keras.utils.set_random_seed(0)
    if two_streams:
        backbone = SemiformerBackbone(SIDE, channels=1, **TWO_STREAMS)
        return TwoStreamClassifier(backbone, CLASSES)
    return Classifier(ViT(SIDE, channels=1, **NETWORK), CLASSES)


def create_method(way):
    """Returns a method with all that its name stands for; every pseudo label counts."""
    name = WAYS[way]
    student = create_classifier(reference_of(name) == TWICE)
    from semivit_tf.config.semi_methods import SEMI_METHODS
    from semivit_tf.stages.semi_finetune import semi_method

    settings = SEMI_METHODS[SUPERVISED if name == TWICE else name]
    given = {} if settings().threshold is None else {"threshold": 0.0}
    given |= DECODER if name == "semi_mae" else {}
    return semi_method(settings(**given), student, 10_000, UNLABELED, UNLABELED)


def create_steps(way):
    """Returns a function that takes a number of steps by one method."""
    model = create_method(way)
    import numpy as np

    from semivit_tf.methods.ema_teacher import EMATeacher
    from semivit_tf.training.optimizers import layer_wise_adamw

    options = {} if WAYS[way] in (SUPERVISED, TWICE) else {"gated": False}
    model.compile(layer_wise_adamw(model, 1e-4), jit_compile=False, **options)
    model.optimizer.build(model.trainable_variables)
    EMATeacher(0.999).set_model(model)
    names = ("weak", "strong", "weak2", "strong2")
    views = {name: random_images(UNLABELED, SIDE, SIDE, 1) for name in names}
    views["image"] = random_images(LABELED, SIDE, SIDE, 1)
    views["index"] = np.arange(UNLABELED)
    labels = np.random.default_rng(0).integers(0, CLASSES, LABELED)
    return steps_of_fit(model, (views, labels))


def count_operations():
    """Returns a dict of way to the operations of the products of a step."""
    supervised = {name: passes(name) for name in (SUPERVISED, TWICE)}
    rebuilding = rebuilding_operations()
    found = {}
    for name in WAYS.values():
        labels, views, answers = supervised[reference_of(name)]
        found[name] = labels + (name != reference_of(name)) * (views + answers)
        found[name] += (name == "semi_mae") * rebuilding
    return found


def passes(name):
    """Returns the operations of learning labels, learning views and labelling them."""
    network = create_classifier(name == TWICE)
    import tensorflow as tf

    def learn(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network.scores(images, training=True))
        return tape.gradient(loss, network.trainable_variables)

    def answer(images):
        return network.scores(images, training=False)

    return count(learn, LABELED), count(learn, UNLABELED), count(answer, UNLABELED)


def rebuilding_operations():
    """Returns the operations of learning to rebuild the unlabelled images."""
    model = create_method("ours semi_mae")
    import tensorflow as tf

    network = model.autoencoder

    def learn(images):
        order = network.draw_order(images, model.mask_generator)
        with tf.GradientTape() as tape:
            loss = network.reconstruction_loss(images, *order, training=True)
        return tape.gradient(loss, network.trainable_variables)

    return count(learn, UNLABELED)


def count(function, images):
    """Returns the operations of the products of a function of so many images."""
    import tensorflow as tf

    spec = tf.TensorSpec((images, SIDE, SIDE, 1), tf.uint8)
    traced = tf.function(function, autograph=False).get_concrete_function(spec)
    return product_operations(traced.graph)


def table(result):
    """Returns the result as Markdown."""
    operations = result["operations"]
    return each_machine(result, lambda rounds: machine_table(rounds, operations))


def machine_table(rounds, operations):
    """Returns what one machine took."""
    lines = [
        f"| method, {LABELED} + {UNLABELED} images | processor time of a step / "
        "supervised | by its passes | ratio |",
        "|---|---|---|---|",
    ]
    key = "processor_seconds_per_image"
    for way, name in WAYS.items():
        if way not in rounds:
            continue
        reference = reference_of(name)
        pairs = zip(rounds[way][key], rounds[f"ours {reference}"][key], strict=True)
        cost = statistics.median(one / other for one, other in pairs)
        expected = operations[name] / operations[reference]
        lines.append(
            f"| `{name}` | {cost:.2f} | {expected:.2f} | {cost / expected:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main(
        __file__,
        RESULT,
        WAYS,
        LABELED + UNLABELED,
        create_steps,
        count_operations,
        table,
        summary=__doc__.splitlines()[0],
    )
