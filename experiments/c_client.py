"""Does a C program get the answers of Keras from an exported model, without Python?

    python experiments/c_client.py

Compiles experiments/serving/classify.c with the headers and the libraries of the
package tensorflow, exports a ViT with random weights, and asks it for image files and
for pixels. Writes experiments/results/c_client.json: the command that compiled it, and
the largest difference from Keras' probabilities. Takes a C compiler, `cc`.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from semivit_tf import Classifier, ViT, export_saved_model

EXPERIMENTS = pathlib.Path(__file__).resolve().parent
COMMAND = "python experiments/c_client.py"
RESULT = EXPERIMENTS / "results" / "c_client.json"
SOURCE = EXPERIMENTS / "serving" / "classify.c"
LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
SIDE, CLASSES, IMAGES, TOLERANCE = 16, 7, 5, 1e-5


def compiler(source, program, tensorflow):
    """Returns the command that compiles a client.

    Args:
        source: Path of the C file.
        program: Path of what is made of it.
        tensorflow: Path of the package, with `include` and the libraries.
    """
    linked = [f"{tensorflow}/{name}" for name in LIBRARIES]
    command = ["cc", "-O2", f"-I{tensorflow}/include", str(source), "-o", str(program)]
    return [*command, *linked, f"-Wl,-rpath,{tensorflow}"]


def ask(program, *arguments):
    """Returns the probabilities that a client prints, `[B, K]`."""
    found = subprocess.run(
        [program, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True
    )
    rows = [line.split()[1:] for line in found.stdout.splitlines()]
    return np.array(rows, "float64")


def measure(folder):
    """Returns the largest differences, of files and of pixels."""
    tensorflow = pathlib.Path(tf.__file__).parent
    program = folder / "classify"
    subprocess.run(compiler(SOURCE, program, tensorflow), check=True)
    keras.utils.set_random_seed(0)
    model = Classifier(ViT(SIDE, patch_size=4, width=32, depth=2, heads=2), CLASSES)
    model.head.kernel.assign(30 * keras.random.normal(model.head.kernel.shape))
    served = export_saved_model(model, folder / "model")
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3))
    images = images.astype("uint8")
    files = [folder / f"{number}.png" for number in range(IMAGES)]
    pixels = [folder / f"{number}.raw" for number in range(IMAGES)]
    for image, file, raw in zip(images, files, pixels, strict=True):
        file.write_bytes(tf.io.encode_png(image).numpy())
        raw.write_bytes(image.tobytes())
    expected = np.asarray(keras.ops.softmax(model(images)))
    answers = {
        "image files": ask(program, served, *files),
        "pixels": ask(program, f"--pixels={SIDE}x{SIDE}x3", served, *pixels),
    }
    return {
        "images": IMAGES,
        "classes": CLASSES,
        "spread": float(np.ptp(expected, axis=0).max()),
        "difference": {
            name: float(np.abs(answer - expected).max())
            for name, answer in answers.items()
        },
    }


def table(result):
    """Returns the result as a Markdown table."""
    lines = ["| asked in C for | largest difference from Keras |", "|---|---|"]
    for name, difference in result["difference"].items():
        lines.append(f"| {name} | {difference:.1e} |")
    return "\n".join(lines)


def main():
    """Compiles, asks, writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    if not parser.parse_args().table:
        if shutil.which("cc") is None:
            raise SystemExit("c_client.py needs a C compiler, cc")
        with tempfile.TemporaryDirectory() as folder:
            found = {"command": COMMAND, **measure(pathlib.Path(folder))}
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
        if not max(found["difference"].values()) <= TOLERANCE:
            raise SystemExit(f"Answers differ: {found['difference']}")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
