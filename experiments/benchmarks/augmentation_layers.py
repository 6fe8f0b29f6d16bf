"""How fast are the ways to make strong views, in one run on the same images?

    python experiments/benchmarks/augmentation_layers.py

Writes experiments/results/augmentation_layers.json and prints the table made from it.
Figures are ratios to the slowest way, because machines differ.
"""

import json
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

RESULT = ROOT / "experiments" / "results" / "augmentation_layers.json"
SHAPE = (224, 224, 3)
BATCH, ROUNDS = 32, 5
LAYERS = {
    "this package, `photo`": None,
    "`keras_cv.layers.RandAugment`": "keras_cv.RandAugment",
    "`keras.layers.RandAugment`": "keras.RandAugment",
}


def measure():
    """Returns images a second of each way, interleaved over the rounds."""
    import tensorflow as tf

    from semivit_tf.augment.policies import create_policies
    from semivit_tf.augment.randomness import image_keys

    images = tf.random.stateless_uniform((BATCH, *SHAPE), (0, 1), 0, 255)

    def stream(layer):
        policy = create_policies("photo", SHAPE, strong_layer=layer)["strong"]

        def load(step):
            index = step * BATCH + tf.range(BATCH, dtype=tf.int64)
            return policy(images, image_keys(0, 1, tf.zeros_like(index), index))

        return iter(tf.data.Dataset.counter().map(load, tf.data.AUTOTUNE))

    streams = {name: stream(layer) for name, layer in LAYERS.items()}
    rates = {name: [] for name in streams}
    for turn in range(ROUNDS + 1):
        for name, batches in streams.items():
            start = time.perf_counter()
            for _ in range(4):
                next(batches)
            if turn:  # the first round starts things up
                rates[name].append(4 * BATCH / (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in rates.items()}


def table(result):
    """Returns the result as a Markdown table."""
    slowest = min(result["images_per_second"].values())
    lines = ["| strong views, 224 pixels | images a second, relative |", "|---|---|"]
    for name, rate in result["images_per_second"].items():
        lines.append(f"| {name} | {rate / slowest:.1f} |")
    return "\n".join(lines)


def main():
    """Measures and writes the result."""
    if "--table" not in sys.argv:
        from importlib.metadata import version

        result = {
            "command": "python experiments/benchmarks/augmentation_layers.py",
            "images_per_second": measure(),
            "versions": {n: version(n) for n in ("tensorflow", "keras", "keras-cv")},
        }
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
