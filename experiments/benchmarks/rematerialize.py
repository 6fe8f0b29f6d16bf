"""What does computing blocks twice save of memory, and what does it cost?

    python experiments/benchmarks/rematerialize.py

A step of ViT-B/16 at 224 pixels on 16 images, with AdamW, each way in a process of its
own, with and without `--rematerialize`. Memory is the most that the process held, its
weights and TensorFlow included. The gradients of both ways are compared. Writes
experiments/results/rematerialize.json and prints the table made from it.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

from turns import ROOT, measure_all, random_images, work

RESULT = ROOT / "experiments" / "results" / "rematerialize.json"
COMMAND = "python experiments/benchmarks/rematerialize.py"
BATCH, CLASSES, SECONDS, ROUNDS = 16, 1000, 8.0, 1
WAYS = {
    "plain": "all activations kept",
    "plain again": "`--rematerialize`",
}


def create(again):
    """Returns a classifier with ViT-B."""
    sys.path.insert(0, str(ROOT))
    import keras

    from semivit_tf.backbones import create_backbone
    from semivit_tf.methods.classifier import Classifier

    keras.utils.set_random_seed(0)
    backbone = create_backbone("vit_base_patch16", rematerialize=again)
    return Classifier(backbone, CLASSES, mixup_alpha=0.0, cutmix_alpha=0.0)


def measure(way, seconds, folder):
    """Takes steps in one way; leaves the first gradients in a folder."""
    import numpy as np

    model = create(again=way.endswith("again"))
    import tensorflow as tf

    from semivit_tf.training.optimizers import layer_wise_adamw

    model.compile(layer_wise_adamw(model, 1e-4), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    images = random_images(BATCH, 224, 224, 3)
    labels = np.random.default_rng(0).integers(0, CLASSES, BATCH)

    @tf.function(autograph=False)
    def gradients(images, labels):
        return model.gradients_of(
            model.prepare((images, labels)), model.trainable_variables
        )[0]

    found = [np.ravel(g) for g in gradients(tf.constant(images), tf.constant(labels))]
    np.save(folder / f"{way}.npy", np.concatenate(found))
    model.make_train_function()
    # The step of `fit`, on one iterator: to end one takes tf.data seconds.
    iterator = iter(tf.data.Dataset.from_tensors((images, labels)).repeat())

    def take(steps):
        for _ in range(steps):
            logs = model.train_function(iterator)
        return float(logs["loss"])

    return work(take, BATCH, seconds)


def difference(folder):
    """Returns how far apart the gradients of both ways are, relative to their norm."""
    import numpy as np

    one, other = (np.load(folder / f"{way}.npy").astype("float64") for way in WAYS)
    return float(np.linalg.norm(one - other) / np.linalg.norm(one))


def compare():
    """Measures both ways, and how far apart their gradients are."""
    with tempfile.TemporaryDirectory() as folder:
        rounds = measure_all(
            __file__,
            WAYS,
            {"plain": sys.executable},
            SECONDS,
            ROUNDS,
            f"--folder={folder}",
        )
        different = difference(pathlib.Path(folder))
    return {
        "command": COMMAND,
        "rounds": rounds,
        "gradient_difference": different,
        "processors": os.cpu_count(),
    }


def table(result):
    """Returns the result as a Markdown table."""
    lines = [
        "| ViT-B/16, a step on 16 images | peak memory | images/s |",
        "|---|---|---|",
    ]
    medians = {
        way: {key: statistics.median(values[key]) for key in values}
        for way, values in result["rounds"].items()
    }
    for way, values in medians.items():
        peak = f"{values['peak_bytes'] / 2**30:.1f} GB"
        if way.endswith("again"):
            whole = medians[way.removesuffix(" again")]["peak_bytes"]
            peak += f", {100 * (1 - values['peak_bytes'] / whole):.0f} % less"
        lines.append(f"| {WAYS[way]} | {peak} | {values['images_per_second']:.2f} |")
    difference = f"{result['gradient_difference']:.0e}"
    lines += ["", f"The gradients differ by {difference} of their norm."]
    return "\n".join(lines)


def main():
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measure(arguments.way, arguments.seconds, arguments.folder)))
        return
    if not arguments.table:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(compare(), indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
