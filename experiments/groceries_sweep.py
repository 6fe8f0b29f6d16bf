"""How many labels do 81 kinds of groceries need? A CNN and a ViT, swept.

    python experiments/groceries_sweep.py --data_dir=FOLDER --weights=FILE.safetensors
        --cnn_weights=FILE.npz

FOLDER has the Grocery Store Dataset as train/, val/ and test/, and coarse_classes.csv.
The weights are those of a ViT-S/14 by Hugging Face's names for Dinov2, and of
EfficientNet-Lite0, see efficientnet_lite0.py. All that follows is handed to main.py
after groceries_sweep.flags, such as `--sweep_ways=probe,cnn_probe`, which takes
minutes. What is measured is not measured again.

With --choose, settings are compared instead: with seed 100, on the images of val/,
without those of test/. The number of blocks of groceries_sweep.flags is chosen so.
Writes experiments/results/groceries_sweep.json and .svg, and prints the table.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "experiments")]

from campaign import RESULTS, write_json  # noqa: E402

from semivit_tf.sweep.table import markdown  # noqa: E402

COMMAND = (
    "python experiments/groceries_sweep.py --data_dir=FOLDER "
    "--weights=FILE.safetensors --cnn_weights=FILE.npz"
)
RESULT = RESULTS / "groceries_sweep.json"
FLAGFILE = "experiments/groceries_sweep.flags"
BLOCKS, SEED, LABELS = (8, 10, 12), 100, 8
_PATHS = ("data_dir", "init_from", "backbone")


def without_paths(flags):
    """Returns flags without the folders that files were in."""
    return {
        name: value.rpartition("/")[2] if name in _PATHS else value
        for name, value in flags.items()
    }


def sweep(folder, *flags):
    """Runs a sweep in a folder, or what is left of it; returns its results."""
    words = [sys.executable, "main.py", f"--flagfile={FLAGFILE}", *flags]
    ended = subprocess.run([*words, f"--workdir={folder}"], cwd=ROOT)
    if ended.returncode:
        raise SystemExit(ended.returncode)  # it has said why
    content = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    del content["sha256"], content["command"]
    for group in ("flags", "cnn_flags"):
        content[group] = without_paths(content[group] or {})
    return content


def networks(arguments):
    """Returns the flags that name data and networks; writes the CNN's file."""
    file = arguments.workdir / "efficientnet_lite0.keras"
    if not file.exists():
        from efficientnet_lite0 import write

        write(arguments.cnn_weights, file)
    data = pathlib.Path(arguments.data_dir).resolve()
    return data, [
        f"--data_dir={data}",
        f"--init_from={pathlib.Path(arguments.weights).resolve()}",
        f"--sweep_cnn=--backbone=keras:{file} --image_size=128",
        f"--sweep_coarse={data / 'coarse_classes.csv'}",
        f"--probe_features={arguments.workdir / 'features'}",
    ]


def without_test(data, folder):
    """Makes a folder that has the training and validation images alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "val"):
        if not (folder / part).exists():
            (folder / part).symlink_to(data / part)
    return folder


def choose(arguments, flags):
    """Returns what was measured on validation images, by the number of blocks."""
    data, named = networks(arguments)
    named.append(f"--data_dir={without_test(data, arguments.workdir / 'choice')}")
    seed = (f"--sweep_seeds={SEED}", f"--sweep_labels={LABELS}")
    found = {}
    for blocks in BLOCKS:
        folder = arguments.workdir / f"{blocks}_blocks"
        one = sweep(folder, *named, *seed, f"--depth={blocks}", *flags)
        cell = one["results"][str(LABELS)][str(SEED)]
        found[str(blocks)] = {way: cell[way]["accuracy"] for way in cell}
    return found


def measure(arguments, flags):
    """Returns the content of the results' file, with what is new in it."""
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    if arguments.choose:
        return {**known, "chosen_on_validation": choose(arguments, flags)}
    _, named = networks(arguments)
    folder = arguments.workdir / "sweep"
    content = sweep(folder, *named, *flags)
    shutil.copy(folder / "accuracy_over_labels.svg", RESULT.with_suffix(".svg"))
    choice = {k: v for k, v in known.items() if k == "chosen_on_validation"}
    return {"command": COMMAND, **content, **choice}


def table(result):
    """Returns the result as a Markdown table."""
    return markdown(result)


def main():
    """Measures, writes the result and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="All other flags are handed to main.py.",
    )
    parser.add_argument("--data_dir", required=True, help="folder of the data set")
    parser.add_argument("--weights", required=True, help="of a ViT-S/14")
    parser.add_argument("--cnn_weights", required=True, help="of EfficientNet-Lite0")
    parser.add_argument("--choose", action="store_true", help="compare settings")
    parser.add_argument("--workdir", default="runs/groceries", type=pathlib.Path)
    arguments, flags = parser.parse_known_args()
    arguments.workdir = arguments.workdir.resolve()
    found = measure(arguments, flags)
    write_json(RESULT, found)
    if arguments.choose:
        print(json.dumps(found["chosen_on_validation"], indent=2))
    else:
        print(table(found))


if __name__ == "__main__":
    main()
