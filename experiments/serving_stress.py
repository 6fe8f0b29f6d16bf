"""Does the served model stay up, right and small under mixed and hostile requests?

    python experiments/serving_stress.py

A model is exported twice, once with `tolerate_bad_images`, and loaded as a server does.
Four threads ask it a thousand times each: pixels as bytes and as floats, files, images
of other sizes, damaged files, pixels of other channels, and bombs, which are small
files of very many pixels. Each answer is compared with that of Keras, and what should
be refused has to be. Writes experiments/results/serving_stress.json: what was asked,
and the resident memory after the first hundred requests, at most, and in the end.
"""

import argparse
import collections
import dataclasses
import inspect
import io
import json
import os
import pathlib
import random
import struct
import sys
import tempfile
import threading
import time
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from semivit_tf import Classifier, ViT, export_saved_model
from semivit_tf.augment.central_view import central_view
from semivit_tf.augment.decoding import decode

COMMAND = "python experiments/serving_stress.py"
RESULT = pathlib.Path(__file__).resolve().parent / "results" / "serving_stress.json"
SIDE, CLASSES = 16, 7
FIRST = 100  # requests, after which memory is compared
LIMITED = "max_pixels" in inspect.signature(export_saved_model).parameters
# Without a limit a bomb of this side would take gigabytes.
BOMB_SIDE = 23_000 if LIMITED else 1_000
MAX_PIXELS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked of which model, and what should come back.

    Attributes:
        kind: What the result calls it.
        model: `"strict"` or `"tolerant"`.
        signature: Name of a signature.
        inputs: Dict of input name to tensor.
        expected: Probabilities `[B, K]`, or None where the request is to be refused.
        valid: Booleans `[B]`, of the tolerant model.
    """

    kind: str
    model: str
    signature: str
    inputs: dict
    expected: np.ndarray | None = None
    valid: np.ndarray | None = None

    def is_answered_right(self, served):
        """Asks, and returns whether the answer is what it should be."""
        ask = served[self.model].signatures[self.signature]
        try:
            answer = ask(**self.inputs)
        except tf.errors.InvalidArgumentError:
            return self.expected is None
        if self.expected is None:
            return False
        right = np.allclose(answer["probabilities"], self.expected, atol=1e-3)
        if self.valid is not None:
            right &= np.array_equal(answer["valid"], self.valid)
        return bool(right)


def build_model():
    """Returns a small classifier whose answers differ from image to image."""
    keras.utils.set_random_seed(0)
    backbone = ViT(image_size=SIDE, patch_size=4, width=32, depth=1, heads=2)
    model = Classifier(backbone, CLASSES)
    kernel = model.head.kernel
    kernel.assign(keras.random.normal(kernel.shape, stddev=2.0, seed=1))
    return model


def bomb(side):
    """Returns a PNG of `side` times `side` black pixels, a bit each."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packer, row = zlib.compressobj(9), bytes(1 + (side + 7) // 8)
    lines = b"".join([packer.compress(row) for _ in range(side)]) + packer.flush()
    chunks = (b"IHDR", header), (b"IDAT", lines), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + name
        + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def files(generator):
    """Returns lists of the contents of good and of damaged files."""
    good = []
    for kind in ("PNG", "JPEG", "BMP", "GIF"):
        for size in ((SIDE, SIDE), (40, 70), (5, 9)):
            pixels = generator.integers(0, 256, (*size, 3)).astype("uint8")
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, kind)
            good.append(file.getvalue())
    damaged = [b"", b"no image", good[0][:-40], good[3][: len(good[3]) // 3]]
    damaged += [good[3][:4] + bytes(60), good[0][:30] + bytes(40) + good[0][70:]]
    return good, damaged


def make_requests(model, generator):
    """Returns a dict of kind to the requests of that kind."""

    def answers(images):
        return keras.ops.softmax(model(images)).numpy()

    def seen(image):
        return central_view(tf.constant(image), (SIDE, SIDE)).numpy()

    requests = collections.defaultdict(list)

    def add(kind, *arguments, **options):
        requests[kind].append(Request(kind, *arguments, **options))

    for size in ((SIDE, SIDE), (2 * SIDE, 2 * SIDE), (7, 30)):
        kind = "pixels" if size == (SIDE, SIDE) else "pixels of another size"
        images = generator.integers(0, 256, (4, *size, 3)).astype("uint8")
        expected = answers(np.stack([seen(image) for image in images]))
        for model_name, valid in (("strict", None), ("tolerant", np.ones(4, bool))):
            for signature, given in (
                ("serving_uint8", images),
                ("serving_default", images.astype("float32")),
            ):
                inputs = {"images": tf.constant(given)}
                add(kind, model_name, signature, inputs, expected, valid)
    for channels in (1, 4):
        inputs = {"images": tf.zeros((3, SIDE, SIDE, channels), tf.uint8)}
        add("pixels of other channels", "strict", "serving_uint8", inputs)
    good, damaged = files(generator)
    expected = answers(np.stack([seen(decode(tf.constant(c)).numpy()) for c in good]))

    def ask(kind, contents, model_name, expected, valid=None):
        inputs = {"image_bytes": tf.constant(contents)}
        add(kind, model_name, "serving_bytes", inputs, expected, valid)

    ask("files", good, "strict", expected)
    ask("files", good, "tolerant", expected, np.ones(len(good), bool))
    neutral = np.full((1, CLASSES), 1 / CLASSES)
    bombs = [bomb(BOMB_SIDE)]
    of_bomb = neutral if LIMITED else answers(np.zeros((1, SIDE, SIDE, 3)))
    for kind, contents in (("damaged files", damaged), ("bombs", bombs)):
        refused = kind == "damaged files" or LIMITED
        for content in contents:
            last = neutral if refused else of_bomb
            both = np.concatenate([expected[:1], last])
            pair = [good[0], content]
            ask(kind, pair, "strict", None if refused else both)
            ask(kind, pair, "tolerant", both, np.array([True, not refused]))
    return dict(requests)


def resident_megabytes():
    """Returns the resident memory of this process."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Tally:
    """Counts requests and watches memory, for all threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self.asked, self.right = collections.Counter(), collections.Counter()
        self.start = self.highest = None

    def add(self, kind, is_right):
        """Counts a request."""
        now = resident_megabytes()
        with self._lock:
            self.asked[kind] += 1
            self.right[kind] += is_right
            if self.start is not None:
                self.highest = max(self.highest, now)
            elif self.asked.total() >= FIRST:
                self.start = self.highest = now


def measure(folder, threads, count):
    """Exports, asks, and returns the result."""
    model, limits = build_model(), {"max_pixels": MAX_PIXELS} if LIMITED else {}
    served = {}
    for name in ("strict", "tolerant"):
        path = export_saved_model(
            model, folder / name, tolerate_bad_images=name == "tolerant", **limits
        )
        served[name] = tf.saved_model.load(str(path))
    requests = make_requests(model, np.random.default_rng(0))
    tally, failures = Tally(), []

    def ask(number):
        draws = random.Random(number)
        try:
            for _ in range(count):
                request = draws.choice(requests[draws.choice(sorted(requests))])
                tally.add(request.kind, request.is_answered_right(served))
        except Exception as error:  # else it would be lost with its thread
            failures.append(error)

    started = time.monotonic()
    asking = [threading.Thread(target=ask, args=(n,)) for n in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    if failures:
        raise failures[0]
    return {
        "threads": threads,
        "requests": tally.asked.total(),
        "seconds": round(time.monotonic() - started, 1),
        "asked": dict(sorted(tally.asked.items())),
        "right": dict(sorted(tally.right.items())),
        "bomb_side": BOMB_SIDE,
        "max_pixels": MAX_PIXELS if LIMITED else None,
        "megabytes": {
            f"after {FIRST}": round(tally.start),
            "at most": round(tally.highest),
            "in the end": round(resident_megabytes()),
        },
    }


def table(result):
    """Returns the result as a Markdown table."""
    lines = ["| request | asked | answered or refused as expected |", "|---|---|---|"]
    for kind, asked in result["asked"].items():
        lines.append(f"| {kind} | {asked} | {result['right'][kind]} |")
    memory = result["megabytes"]
    said = ", ".join(f"{amount} MB {when}" for when, amount in memory.items())
    return "\n".join([*lines, f"| resident memory | | {said} |"])


def main():
    """Asks and writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--requests", type=int, default=1000, help="of each thread")
    arguments = parser.parse_args()
    if not arguments.table:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(pathlib.Path(folder), arguments.threads, arguments.requests)
        print(found, file=sys.stderr, flush=True)
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps({"command": COMMAND, **found}, indent=2) + "\n")
        memory = found["megabytes"]
        if found["right"] != found["asked"]:
            raise SystemExit("Some requests were not answered as expected")
        if memory["at most"] > 1.1 * memory[f"after {FIRST}"]:
            raise SystemExit(f"Memory has grown by more than a tenth: {memory}")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
