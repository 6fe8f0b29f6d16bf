"""What do micro-batches save of memory, and what do they cost?

    python experiments/benchmarks/micro_batches.py

A step of ViT-S/16 at 224 pixels on 16 images with AdamW, each way in a process of its
own: the whole batch, four micro-batches in a loop of the graph, as on one device, and
four that are traced one after the other, as on replicas; with and without XLA. Memory
is the most that the process held, its weights, TensorFlow and tracing included. Writes
experiments/results/micro_batches.json and prints the table made from it.
"""

import argparse
import json
import os
import statistics
import sys

from turns import ROOT, measure_all, processor_name, random_images, work

RESULT = ROOT / "experiments" / "results" / "micro_batches.json"
COMMAND = "python experiments/benchmarks/micro_batches.py"
BATCH, PARTS, CLASSES, SECONDS, ROUNDS = 16, 4, 10, 8.0, 1
KINDS = {
    "whole": "whole batch",
    "loop": f"{PARTS} micro-batches, in a loop",
    "unrolled": f"{PARTS} micro-batches, unrolled",
}
WAYS = [f"ours {kind}{xla}" for xla in ("", " xla") for kind in KINDS]


def measure(way, seconds):
    """Takes steps in one way."""
    sys.path.insert(0, str(ROOT))
    import keras
    import numpy as np
    import tensorflow as tf

    from semivit_tf.backbones import create_backbone
    from semivit_tf.methods.classifier import Classifier
    from semivit_tf.training.optimizers import layer_wise_adamw

    class Unrolled(Classifier):
        """Works on micro-batches as on replicas."""

        def _has_replicas(self):
            return True

    keras.utils.set_random_seed(0)
    _, kind, *xla = way.split()
    backbone = create_backbone("vit_small_patch16")
    made = Unrolled if kind == "unrolled" else Classifier
    model = made(backbone, CLASSES, mixup_alpha=0.0, cutmix_alpha=0.0)
    model.compile(
        layer_wise_adamw(model, 1e-4),
        batch_parts=1 if kind == "whole" else PARTS,
        jit_compile=bool(xla),
    )
    model.optimizer.build(model.trainable_variables)
    images = random_images(BATCH, 224, 224, 3)
    labels = np.random.default_rng(0).integers(0, CLASSES, BATCH)
    model.make_train_function()
    iterator = iter(tf.data.Dataset.from_tensors((images, labels)).repeat())

    def take(steps):
        for _ in range(steps):
            logs = model.train_function(iterator)
        return float(logs["loss"])

    return work(take, BATCH, seconds)


def table(result):
    """Returns the result as a Markdown table."""
    lines = [
        "| ViT-S/16, a step on 16 images | peak memory | images/s "
        "| by XLA: peak memory | images/s |",
        "|---|---|---|---|---|",
    ]
    for kind, named in KINDS.items():
        cells = []
        for xla in ("", " xla"):
            values = result["rounds"][f"ours {kind}{xla}"]
            peak = statistics.median(values["peak_bytes"])
            rate = statistics.median(values["images_per_second"])
            cells += [f"{peak / 1e9:.2f} GB", f"{rate:.1f}"]
        lines.append(f"| {named} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Processor: {result['processor']}."])


def main():
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measure(arguments.way, arguments.seconds)))
        return
    if not arguments.table:
        rounds = measure_all(__file__, WAYS, {"ours": sys.executable}, SECONDS, ROUNDS)
        result = {
            "command": COMMAND,
            "rounds": rounds,
            "processor": processor_name(),
            "processors": os.cpu_count(),
        }
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
