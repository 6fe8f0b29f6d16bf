"""What does a step of each method cost, against learning from the labels alone?

    python experiments/benchmarks/method_steps.py

A step takes 16 labelled and 48 unlabelled images of 28 pixels in memory, and every
pseudo label counts. What a method needs besides is predicted from the matrix products
of its passes through the network. How steps are timed stands in turns.py. Writes
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
SUPERVISED = "supervised"
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
    )
}


def create_classifier():
    """Returns a classifier for grey images."""
    sys.path.insert(0, str(ROOT))
    import keras

    from semivit_tf.backbones.vit import ViT
    from semivit_tf.methods.classifier import Classifier

    keras.utils.set_random_seed(0)
    return Classifier(ViT(SIDE, channels=1, **NETWORK), CLASSES)


def create_steps(way):
    """Returns a function that takes a number of steps by one method."""
    student = create_classifier()
    import numpy as np

    from semivit_tf.config.semi_methods import SEMI_METHODS
    from semivit_tf.methods.ema_teacher import EMATeacher
    from semivit_tf.stages.semi_finetune import semi_method
    from semivit_tf.training.optimizers import layer_wise_adamw

    settings = SEMI_METHODS[way.split()[1]]
    if settings().threshold is not None:
        settings = settings(threshold=0.0)
    else:
        settings = settings()
    model = semi_method(settings, student, 10_000, UNLABELED, UNLABELED)
    options = {} if settings.name == SUPERVISED else {"gated": False}
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
    """Counts the products of a step of supervised learning, and of all others."""
    student = create_classifier()
    import tensorflow as tf

    def count(function, images):
        spec = tf.TensorSpec((images, SIDE, SIDE, 1), tf.uint8)
        traced = tf.function(function, autograph=False).get_concrete_function(spec)
        return product_operations(traced.graph)

    def learn(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(student(images, training=True))
        return tape.gradient(loss, student.trainable_variables)

    label = count(lambda images: student(images, training=False), UNLABELED)
    return {
        SUPERVISED: count(learn, LABELED),
        "others": count(learn, LABELED) + count(learn, UNLABELED) + label,
    }


def table(result):
    """Returns the result as Markdown."""
    operations = result["operations"]
    predicted = operations["others"] / operations[SUPERVISED]
    return each_machine(result, lambda rounds: machine_table(rounds, predicted))


def machine_table(rounds, predicted):
    """Returns what one machine took."""
    lines = [
        f"| method, {LABELED} + {UNLABELED} images | processor time of a step / "
        "supervised | by its passes | ratio |",
        "|---|---|---|---|",
    ]
    key = "processor_seconds_per_image"
    reference = rounds[f"ours {SUPERVISED}"][key]
    for way, name in WAYS.items():
        if way not in rounds:
            continue
        pairs = zip(rounds[way][key], reference, strict=True)
        cost = statistics.median(one / other for one, other in pairs)
        expected = 1.0 if name == SUPERVISED else predicted
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
