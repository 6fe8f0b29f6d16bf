"""How many pairs of weak and strong views a second, from the same JPEG files?

    python experiments/benchmarks/augmentation.py --timm_python=PATH

PATH is the Python of an environment with torch, torchvision and timm, which this
package does not need. All ways take 500x375 files to 224 pixels as in the paper: crop,
flip, colour jitter; crop, flip, rand-m9-mstd0.5-inc1, erasing. They run one after the
other, in rounds, each on all processors (timm with a worker process for each, else a
thread for each), and this package and timm on one, too.
Writes experiments/results/augmentation.json and prints the table made from it.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = "python experiments/benchmarks/augmentation.py --timm_python=PATH"
RESULT = ROOT / "experiments" / "results" / "augmentation.json"
FILES, BATCH, BATCHES, WARM, ROUNDS = 64, 32, 30, 3, 3
LAYERS = {
    "ours": None,
    "keras_cv": "keras_cv.RandAugment",
    "keras": "keras.RandAugment",
}
TITLES = {
    "ours": "this package",
    "timm": "timm and Pillow, worker processes",
    "keras_cv": "this package's crops, `keras_cv.layers.RandAugment`",
    "keras": "this package's crops, `keras.layers.RandAugment`",
}


def write_files(folder):
    """Writes photographs of 500x375 pixels."""
    import numpy as np
    import tensorflow as tf
    from sklearn.datasets import load_sample_images

    generator = np.random.default_rng(0)
    photographs = load_sample_images().images
    for number in range(FILES):
        image = photographs[number % 2]
        height = int(generator.integers(300, 427))
        width = height * 4 // 3
        top = int(generator.integers(0, 427 - height + 1))
        left = int(generator.integers(0, 640 - width + 1))
        part = image[top : top + height, left : left + width]
        part = tf.image.resize(part, (375, 500), "bicubic")
        part = tf.cast(tf.clip_by_value(part, 0, 255), tf.uint8)
        contents = tf.io.encode_jpeg(part, quality=90)
        (pathlib.Path(folder) / f"{number:02}.jpg").write_bytes(contents.numpy())


def rate(batches):
    """Returns pairs a second of an endless iterator of batches."""
    for _ in range(WARM):
        next(batches)
    start = time.perf_counter()
    for _ in range(BATCHES):
        next(batches)
    return BATCHES * BATCH / (time.perf_counter() - start)


def measure_ours(folder, layer):
    """Measures this package, with its own RandAugment or a layer's."""
    sys.path.insert(0, str(ROOT))
    import numpy as np

    from semivit_tf.augment.policies import create_policies
    from semivit_tf.data.file_source import FileSource
    from semivit_tf.data.order import index_batches
    from semivit_tf.data.views import Views

    names = sorted(os.listdir(folder))
    source = FileSource(folder, names, np.zeros(FILES), ["photograph"])
    policies = create_policies("photo", (224, 224, 3), strong_layer=layer)
    order = index_batches(np.arange(FILES), BATCH, 0)
    batches = iter(Views(source, policies, 0).batches(order, ("weak", "strong")))
    return rate(batches)


def measure_timm(folder):
    """Measures timm's transforms in a loader of PyTorch."""
    # torchvision's own operators need CUDA in some builds; transforms do not need them.
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("none")
    import torch
    from PIL import Image
    from timm.data import create_transform

    shared = {"input_size": 224, "is_training": True, "interpolation": "bicubic"}
    weak = create_transform(**shared, color_jitter=0.4, re_prob=0.0)
    strong = create_transform(
        **shared,
        color_jitter=None,
        auto_augment="rand-m9-mstd0.5-inc1",
        re_prob=0.25,
        re_mode="pixel",
    )
    paths = sorted(pathlib.Path(folder).iterdir())

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return BATCH * (WARM + BATCHES + 8)

        def __getitem__(self, index):
            image = Image.open(paths[index % FILES]).convert("RGB")
            return weak(image), strong(image)

    workers = len(os.sched_getaffinity(0))
    return rate(iter(torch.utils.data.DataLoader(Pairs(), BATCH, num_workers=workers)))


def profile(folder):
    """Returns milliseconds of one thread for each part of a pair of ours."""
    sys.path.insert(0, str(ROOT))
    import tensorflow as tf

    from semivit_tf.augment.decoding import decode
    from semivit_tf.augment.policies import create_policies
    from semivit_tf.augment.randomness import image_key

    contents = [tf.io.read_file(str(path)) for path in sorted(folder.iterdir())]
    images = [decode(content).numpy() for content in contents]
    policies = create_policies("photo", (224, 224, 3))

    def milliseconds(work, count=600):
        for number in range(60):
            work(number)
        start = time.process_time()
        for number in range(count):
            work(number)
        return 1e3 * (time.process_time() - start) / count

    def crop(name):
        framing = policies[name].framing

        def work(number):
            image, key = images[number % FILES], image_key(0, 1, number, 0)
            return framing.cut(image, framing.box(*image.shape[:2], key), key)

        return work

    small = [crop("weak")(number) for number in range(FILES)]
    parts = {
        "decode the whole file": milliseconds(lambda n: decode(contents[n % FILES]))
    }
    for name in ("weak", "strong"):
        parts[f"{name}: crop, resize, flip"] = milliseconds(crop(name))
        for operation in policies[name].operations:
            title = f"{name}: {type(operation).__name__}"
            parts[title] = milliseconds(
                lambda n, o=operation: o(small[n % FILES], image_key(0, 1, n, 7))
            )
    erasing = policies["strong"].erasing
    parts["strong: RandomErasing, as floats"] = milliseconds(
        lambda n: erasing(small[n % FILES][None], [image_key(0, 1, n, 7)])
    )
    return parts


def table(result):
    """Returns the result as Markdown tables."""
    lines = [
        "| pairs of views a second, 224 pixels, against timm | all cores | one |",
        "|---|---|---|",
    ]
    all_processors, one = result["pairs_per_second"], result["on_one_processor"]
    for name, pairs in all_processors.items():
        alone = f"{one[name] / one['timm']:.2f} x" if name in one else ""
        share = pairs / all_processors["timm"]
        lines.append(f"| {TITLES[name]} | {share:.2f} x | {alone} |")
    lines += [
        "",
        "| work for one pair of views, one thread | milliseconds |",
        "|---|---|",
    ]
    for name, value in result["milliseconds_of_one_thread"].items():
        lines.append(f"| {name} | {value:.2f} |")
    return "\n".join(lines)


def measure_all(timm_python, folder):
    """Measures each way in a process of its own, in rounds.

    Returns:
        Dict of `(way, processors)` to pairs a second in each round.
    """
    pythons = {name: sys.executable for name in LAYERS} | {"timm": timm_python}
    everything = tuple(sorted(os.sched_getaffinity(0)))
    ways = [(name, everything) for name in TITLES]
    ways += [(name, everything[:1]) for name in ("ours", "timm")]
    rates = {(name, len(processors)): [] for name, processors in ways}
    for _ in range(ROUNDS):
        for name, processors in ways:
            command = [pythons[name], __file__, f"--way={name}", f"--files={folder}"]
            answer = subprocess.run(
                command,
                check=True,
                stdout=subprocess.PIPE,
                preexec_fn=lambda p=processors: os.sched_setaffinity(0, p),
            )
            found = float(answer.stdout.split()[-1])
            rates[name, len(processors)].append(found)
    return rates


def of_processors(rates, wanted):
    """Returns the median rates of the ways measured on so many processors."""
    return {
        name: statistics.median(found)
        for (name, count), found in rates.items()
        if count == wanted
    }


def main():
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timm_python", help="a Python with timm and torch; needed")
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--files", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        if arguments.way == "timm":
            print(measure_timm(arguments.files))
        else:
            print(measure_ours(arguments.files, LAYERS[arguments.way]))
        return
    if not arguments.table:
        from importlib.metadata import version

        if not arguments.timm_python:
            parser.error("--timm_python is needed")
        with tempfile.TemporaryDirectory() as folder:
            write_files(folder)
            rates = measure_all(arguments.timm_python, folder)
            parts = profile(pathlib.Path(folder))
        packages = ("tensorflow", "keras", "keras-cv", "numba", "numpy")
        result = {
            "command": COMMAND,
            "pairs_per_second": of_processors(rates, os.cpu_count()),
            "on_one_processor": of_processors(rates, 1),
            "rounds": {f"{name}, {count}": r for (name, count), r in rates.items()},
            "milliseconds_of_one_thread": parts,
            "processors": os.cpu_count(),
            "versions": {name: version(name) for name in packages},
        }
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
