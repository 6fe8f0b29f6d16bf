"""Features that experiments share, of a network that learns none of the images.

EfficientNet-Lite0 encodes, once: groceries as the stage `probe` does, and images of
Fashion-MNIST as they are, inverted and blurred, beside scikit-learn's digits. What it
has found is kept in the folder of the experiments.
"""

import argparse
import dataclasses
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "experiments")]

import numpy as np  # noqa: E402
from campaign import RESULTS, write_json  # noqa: E402

ARGUMENTS = "--data_dir=FOLDER --cnn_weights=FILE.npz"
FLAGS = "--dataset=folder --augmentation=photo --central_share=1 --image_size=128"
# A network of another package has neither drop path nor groups of layers.
FLAGS += " --finetune_drop_path=0 --finetune_layer_decay=1"
FLAGS += " --semi_drop_path=0 --semi_layer_decay=1 --stages=probe"
FASHION = "/usr/share/datasets/fashion-mnist"
TRAINING, TEST, SHIFTED = 5_000, 5_000, 1_000  # images of Fashion-MNIST
SIZE = 64  # their pixels, for the network


@dataclasses.dataclass(frozen=True)
class Groceries:
    """Features `[N, D]` and labels `[N]` of the training and the test images."""

    features: np.ndarray
    labels: np.ndarray
    test_features: np.ndarray
    test_labels: np.ndarray
    classes: int


def load_groceries(arguments):
    """Returns the `Groceries` of a command line."""
    from efficientnet_lite0 import write

    from semivit_tf.cli import parse
    from semivit_tf.stages.pipeline import prepare
    from semivit_tf.stages.probe import features_of

    file = arguments.workdir / "efficientnet_lite0.keras"
    if not file.exists():
        write(arguments.cnn_weights, file)
    named = [
        f"--data_dir={arguments.data_dir}",
        f"--backbone=keras:{file}",
        f"--probe_features={arguments.workdir / 'features'}",
        f"--workdir={arguments.workdir / 'none'}",  # nothing is written there
    ]
    run = prepare(parse(["main.py", *FLAGS.split(), *named]))
    _, features = features_of(run, run.wanted[0])
    parts = run.data.parts
    return Groceries(
        features.of_training(np.arange(len(parts.train))),
        parts.train.labels,
        features.of_test(),
        parts.test.labels,
        len(parts.train.class_names),
    )


def fashion(part, count):
    """Returns images `[N, 28, 28]` of a part of Fashion-MNIST, and their classes."""
    from semivit_tf.data.idx_files import load_idx

    source = getattr(load_idx(FASHION), part)
    chosen = np.sort(np.random.default_rng(0).permutation(len(source))[:count])
    return np.asarray(source.images)[chosen][..., 0], source.labels[chosen]


def digits():
    """Returns scikit-learn's digits in 28 x 28 pixels, white on black as garments."""
    from sklearn.datasets import load_digits

    images = np.round(load_digits().images * 255 / 16).astype("uint8")
    return np.pad(images.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))


def blurred(images):
    """Returns images after a Gaussian blur of 1.5 pixels."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(images.astype("float32"), (0, 1.5, 1.5))


def enlarged(images):
    """Yields batches of grey images, in colour and larger."""
    import tensorflow as tf

    for start in range(0, len(images), 256):
        some = tf.cast(images[start : start + 256, ..., None], tf.float32)
        resized = tf.image.resize(some, (SIZE, SIZE), "bilinear")
        yield tf.image.grayscale_to_rgb(resized)


def load_fashion(arguments):
    """Returns features and labels by name, see `pools` of drift.py."""
    import tensorflow as tf
    from efficientnet_lite0 import build, load

    from semivit_tf.whole_file import whole_path

    file = arguments.workdir / "fashion.npz"
    if not file.exists():
        network = build()
        load(network, arguments.cnn_weights)
        encode = tf.function(
            lambda x: network(x, training=False), reduce_retracing=True
        )
        train, train_labels = fashion("train", TRAINING)
        test, test_labels = fashion("test", TEST)
        parts = {
            "train": train,
            "test": test,
            "inverted": 255 - test[-SHIFTED:],
            "blurred": blurred(test[-SHIFTED:]),
            "digits": digits(),
        }
        found = {
            name: np.concatenate([encode(some).numpy() for some in enlarged(images)])
            for name, images in parts.items()
        }
        found |= {"train_labels": train_labels, "test_labels": test_labels}
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_path(file) as aside, open(aside, "wb") as written:
            np.savez(written, **found)
    with np.load(file, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept}


def probabilities(scores):
    """Returns the softmax of scores `[N, K]`."""
    found = np.exp(scores - scores.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)


def main(summary, name, measure, table):
    """Measures, writes the result and prints the table made from it.

    Args:
        summary: String. What the command does.
        name: String. That of the script and of its result.
        measure: Function from the arguments, with which to load, to the result.
        table: Function from the result to Markdown.
    """
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--data_dir", help="folder of the Grocery Store Dataset")
    parser.add_argument("--cnn_weights", help="of EfficientNet-Lite0")
    parser.add_argument("--workdir", default="runs/frozen_features", type=pathlib.Path)
    parser.add_argument("--table", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    result = RESULTS / f"{name}.json"
    if not arguments.table:
        arguments.workdir = arguments.workdir.resolve()
        command = f"python experiments/{name}.py {ARGUMENTS}"
        write_json(result, {"command": command, **measure(arguments)})
    print(table(json.loads(result.read_text())))
