"""Is the stage `predict` as fast as its parts, small, and safe from kills?

    python experiments/predict_speed.py

A ViT with random weights answers JPEGs of 500 x 375 pixels, whole runs of the command.
Speed: the time of a run against those of decoding alone and of the network alone, and
of a loop over Keras' own `load_img` and `predict`; a run over one batch tells what it
takes to start, which is taken off. Memory: the most that a process had,
for fewer and for more images. Kills: a run is killed at random moments and continued,
and then has to have each image once. Writes experiments/results/predict_speed.json.
"""

import argparse
import csv
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks.turns import processor_name

from semivit_tf import Classifier, ViT, export_saved_model
from semivit_tf.cli import main as run
from semivit_tf.data.readable_images import readable_images
from semivit_tf.export.exported_model import ExportedModel

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMAND = "python experiments/predict_speed.py"
RESULT = ROOT / "experiments" / "results" / "predict_speed.json"
SIDE, CLASSES, BATCH = 64, 10, 64
DIFFERENT = 100  # images; the others are links to them
COMPARED = {
    "decode": "decoding alone",
    "network": "the network alone",
    "plain Keras loop": "`load_img` and `Model.predict`",
}


# === What is asked, and who answers ===


def make_images(folder, count):
    """Writes a folder of images with smooth content and a little noise."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:06}.jpg"
        if number >= DIFFERENT:
            os.link(folder / f"{number % DIFFERENT:06}.jpg", path)
            continue
        coarse = draws.uniform(0, 255, (1, 6, 8, 3)).astype("float32")
        image = tf.image.resize(coarse, (375, 500), "bicubic")[0]
        image += draws.normal(0, 6, (375, 500, 3))
        image = tf.cast(tf.clip_by_value(image, 0, 255), tf.uint8)
        path.write_bytes(tf.io.encode_jpeg(image, quality=90).numpy())
    return folder


def build_model():
    """Returns a ViT of some 50 patches an image, with random weights."""
    keras.utils.set_random_seed(0)
    backbone = ViT(SIDE, patch_size=8, width=384, depth=6, heads=6)
    return Classifier(backbone, CLASSES)


def command(model, images, file):
    """Returns the flags of a run."""
    given = (f"--model={model}", f"--images={images}", f"--predictions={file}")
    return ["--stages=predict", *given, f"--predict_batch_size={BATCH}"]


def answered(file):
    """Returns the paths of a table, sorted."""
    with open(file, encoding="utf-8", newline="") as opened:
        return sorted(row["path"] for row in csv.DictReader(opened))


# === Speed ===


def timed(work):
    """Returns the seconds that a function takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def speed(folder, count):
    """Returns the seconds of a run, of its parts alone, and of a plain loop."""
    images, network = make_images(folder / "images", count), build_model()
    path = export_saved_model(network, folder / "model")
    model, paths = ExportedModel(path), sorted(images.iterdir())
    timed_paths = paths[BATCH:]  # a run is timed over all, less a run over a batch
    listed = [(number, os.fsencode(path)) for number, path in enumerate(timed_paths)]
    one = tf.zeros((BATCH, *model.image_shape))
    model.answer(one)  # loads and traces

    def decode():
        stream = readable_images(
            lambda: iter([listed]), model.load_file, model.image_shape, BATCH
        )
        assert sum(len(numbers) for numbers, _ in stream) == len(timed_paths)

    def compute():
        for _ in range(len(timed_paths) // BATCH):
            model.answer(one)

    first = make_images(folder / "first", BATCH)

    def start_alone():
        flags = command(path, first, folder / "first.csv")
        assert run(["main.py", *flags]) == 0

    def whole():
        flags = command(path, images, folder / "answers.csv")
        assert run(["main.py", *flags]) == 0

    def plain():
        size = model.image_shape[:2]
        for start in range(0, len(timed_paths), BATCH):
            loaded = [
                keras.utils.img_to_array(keras.utils.load_img(path, target_size=size))
                for path in timed_paths[start : start + BATCH]
            ]
            network.predict(np.stack(loaded), verbose=0)

    found = {"images": len(timed_paths)}
    for name, work in (
        ("decode", decode),
        ("network", compute),
        ("start", start_alone),
        ("predict", whole),
        ("plain Keras loop", plain),
    ):
        found[name] = round(timed(work), 2)
    found["predict"] = round(found["predict"] - found["start"], 2)
    found["share"] = round((found["decode"] + found["network"]) / found["predict"], 3)
    assert answered(folder / "answers.csv") == [path.name for path in paths]
    return found


# === Memory and kills ===


def start(model, images, file):
    """Starts a run in a process of its own."""
    flags = command(model, images, file)
    return subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def memory(folder, model, counts):
    """Returns the most megabytes of a process by the number of images."""
    found = {}
    for count in counts:
        images = make_images(folder / f"images{count}", count)
        process = start(model, images, folder / f"answers{count}.csv")
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"A run over {count} images failed")
        found[str(count)] = round(usage.ru_maxrss / 1024)
    return found


def kills(folder, model, count, times):
    """Kills a run at random moments, and returns how often it hit one at work."""
    images, file = make_images(folder / "images", count), folder / "answers.csv"
    draws, hit, parts = random.Random(0), 0, folder / "answers.csv.parts"
    while hit < times:
        process, there = start(model, images, file), len(list(parts.glob("answers-*")))
        while process.poll() is None and len(list(parts.glob("answers-*"))) == there:
            time.sleep(0.01)
        time.sleep(draws.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            raise SystemExit(f"It was done after {hit} kills: more images are needed")
        hit += 1
    if start(model, images, file).wait():
        raise SystemExit("The run that was killed does not go on")
    paths = answered(file)
    once = paths == sorted(path.name for path in images.iterdir())
    return {"images": count, "kills": hit, "rows": len(paths), "each once": once}


def measure(given):
    """Returns the result of all three."""
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        found = {"speed": speed(place / "speed", given.images)}
        print(found, file=sys.stderr, flush=True)
        model = place / "speed" / "model"
        counts = (given.few, given.many)
        found["megabytes"] = memory(place / "memory", model, counts)
        found["killed"] = kills(place / "kills", model, given.many, given.kills)
    return found


def table(result):
    """Returns the result as a Markdown table."""
    times, killed = result["speed"], result["killed"]
    lines = [f"{result['processor']}; {times['images']:,} images:", ""]
    lines += ["| | |", "|---|---|"]
    for name, title in COMPARED.items():
        ratio = times[name] / times["predict"]
        lines.append(f"| {title} | {ratio:.2f} x the time of the stage |")
    for count, most in result["megabytes"].items():
        lines.append(f"| memory for {int(count):,} images | {most:,} MB |")
    once = "each image once" if killed["each once"] else "NOT each image once"
    rows = f"{killed['rows']:,} rows, {once}"
    lines.append(f"| killed {killed['kills']} times | {rows} |")
    return "\n".join(lines)


def main():
    """Measures, writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument(
        "--images", type=int, default=4096, help="for the speed; a multiple of 64"
    )
    parser.add_argument("--few", type=int, default=2000, help="for the memory")
    parser.add_argument("--many", type=int, default=20_000, help="also to be killed")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--result", type=pathlib.Path, default=RESULT)
    given = parser.parse_args()
    if not given.table:
        found = {"command": COMMAND, "processor": processor_name(), **measure(given)}
        given.result.write_text(json.dumps(found, indent=2) + "\n")
        if not found["killed"]["each once"]:
            raise SystemExit("After kills the table does not have each image once")
    print(table(json.loads(given.result.read_text())))


if __name__ == "__main__":
    main()
