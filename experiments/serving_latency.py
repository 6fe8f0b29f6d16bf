"""How long does an exported model take to answer, against plain Keras?

    python experiments/serving_latency.py

Two networks with random weights, that of the quickstart and ViT-S/16, are exported and
loaded again. On one thread, each way answers a request in turn: the signatures for
pixels and for image files, `Model.predict`, and the network in a compiled function,
which is the least that is possible. Ratios are taken between requests of the same
round, so that what else the machine does meets all ways alike. Writes
experiments/results/serving_latency.json: all times, in seconds.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks.turns import processor_name

from semivit_tf import Classifier, ViT, create_backbone, export_saved_model

COMMAND = "python experiments/serving_latency.py"
RESULT = pathlib.Path(__file__).resolve().parent / "results" / "serving_latency.json"
BATCHES = 1, 8, 32
NETWORKS = {
    "digits, 8x8": lambda: Classifier(ViT(8, 2, 64, 4, 4, channels=1), 10),
    "ViT-S/16, 224x224": lambda: Classifier(create_backbone("vit_small_patch16"), 1000),
}
LEAST = "compiled network"
TITLES = {
    LEAST: "compiled network, ms",
    "serving_uint8": "pixels",
    "serving_bytes": "image files",
    "predict": "`predict`",
}


def requests(model, served, batch):
    """Returns a dict of each way to a function that answers one request."""
    shape = (batch, *model.image_shape)
    images = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    files = tf.constant([tf.io.encode_jpeg(image).numpy() for image in images])
    pixels, compiled = tf.constant(images), tf.function(model, autograph=False)
    ask = served.signatures
    return {
        LEAST: lambda: tf.nn.softmax(compiled(pixels, training=False)).numpy(),
        "serving_uint8": lambda: _answer(ask["serving_uint8"](images=pixels)),
        "serving_bytes": lambda: _answer(ask["serving_bytes"](image_bytes=files)),
        "predict": lambda: model.predict(images, batch_size=batch, verbose=0),
    }


def _answer(outputs):
    return {name: value.numpy() for name, value in outputs.items()}


def times(ways, seconds):
    """Returns the seconds that each way took, in rounds of all of them.

    Args:
        ways: Dict of name to function.
        seconds: Float. How long to go on; three rounds are the least.
    """
    for work in ways.values():
        work()  # traces
    found, started = {name: [] for name in ways}, time.perf_counter()
    names, rounds = list(ways), 0
    while rounds < 3 or time.perf_counter() - started < seconds:
        for name in names[:: 1 if rounds % 2 == 0 else -1]:
            begun = time.perf_counter()
            ways[name]()
            found[name].append(time.perf_counter() - begun)
        rounds += 1
    return found


def measure(folder, networks, seconds):
    """Returns the times by network and batch."""
    found = {}
    for title in networks:
        keras.utils.set_random_seed(0)
        model = NETWORKS[title]()
        path = export_saved_model(model, folder / str(len(found)))
        served, found[title] = tf.saved_model.load(str(path)), {}
        for batch in BATCHES:
            taken = times(requests(model, served, batch), seconds)
            found[title][str(batch)] = taken
            print(title, batch, _row(taken), file=sys.stderr, flush=True)
    return found


def _row(taken):
    """Returns the cells of a row: milliseconds, and ratios to the least."""
    least = taken[LEAST]
    cells = [f"{float(f'{1000 * statistics.median(least):.3g}'):,g}"]
    for name in list(TITLES)[1:]:
        ratios = [one / other for one, other in zip(taken[name], least, strict=True)]
        cells.append(f"x {statistics.median(ratios):.2f}")
    return cells


def table(result):
    """Returns the result as a Markdown table."""
    titles = ["network", "images", *TITLES.values()]
    lines = [f"{result['processor']}; one thread:", ""]
    lines += [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for title, batches in result["seconds"].items():
        for batch, taken in batches.items():
            lines.append(f"| {' | '.join([title, batch, *_row(taken)])} |")
    return "\n".join(lines)


def main():
    """Measures, writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each batch")
    parser.add_argument("--network", choices=NETWORKS, help="only this one")
    parser.add_argument("--result", type=pathlib.Path, default=RESULT)
    given = parser.parse_args()
    if not given.table:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        networks = [given.network] if given.network else NETWORKS
        with tempfile.TemporaryDirectory() as folder:
            found = measure(pathlib.Path(folder), networks, given.seconds)
        result = {"command": COMMAND, "processor": processor_name(), "seconds": found}
        given.result.write_text(json.dumps(result) + "\n")
    print(table(json.loads(given.result.read_text())))


if __name__ == "__main__":
    main()
