"""What experiments on features of groceries share: the features, and the command line.

Features are computed once, by EfficientNet-Lite0 at 128 pixels, and kept in the folder
of the experiments.
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


def probabilities(scores):
    """Returns the softmax of scores `[N, K]`."""
    found = np.exp(scores - scores.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)


def main(summary, name, measure, table):
    """Measures, writes the result and prints the table made from it.

    Args:
        summary: String. What the command does.
        name: String. That of the script and of its result.
        measure: Function from `Groceries` to the result.
        table: Function from the result to Markdown.
    """
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--data_dir", help="folder of the Grocery Store Dataset")
    parser.add_argument("--cnn_weights", help="of EfficientNet-Lite0")
    parser.add_argument("--workdir", default="runs/grocery_features", type=pathlib.Path)
    parser.add_argument("--table", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    result = RESULTS / f"{name}.json"
    if not arguments.table:
        arguments.workdir = arguments.workdir.resolve()
        command = f"python experiments/{name}.py {ARGUMENTS}"
        write_json(result, {"command": command, **measure(load_groceries(arguments))})
    print(table(json.loads(result.read_text())))
