"""Are calibrated answers right as often as they promise, on images that chose nothing?

    python experiments/calibration.py --groceries=FOLDER --cnn_weights=FILE.npz

Fine-tunes with validation images, `--abstain_precision=0.98` and `--coverage=0.95`, for
three seeds: the ViT of fashion_mnist_250_labels.flags, pre-trained once for all seeds;
and EfficientNet-Lite0 (see efficientnet_lite0.py) on the Grocery Store Dataset in
FOLDER, as train/, val/ and test/, with 8 labels a class. A finished run is kept. Reads
what `evaluation.json` found on the test images with the weights that would be exported,
writes experiments/results/calibration.json and prints the table made from it.
"""

import argparse
import json
import pathlib

from campaign import RESULTS, read_versions, run_pipeline, write_json
from efficientnet_lite0 import write

RESULT = RESULTS / "calibration.json"
COMMAND = "python experiments/calibration.py --groceries=FOLDER --cnn_weights=FILE.npz"
SEEDS = (0, 1, 2)
SHARED = (
    "--stages=finetune,evaluate",
    "--checkpoint=last",  # so that validation images choose nothing else
    "--abstain_precision=0.98",
    "--coverage=0.95",
)
FLAGS = {
    "Fashion-MNIST": (
        "--flagfile=experiments/fashion_mnist_250_labels.flags",
        "--validation_per_class=100",
    ),
    "Groceries": (
        "--preset=quick",
        "--dataset=folder",
        "--labels_per_class=8",
        "--test_duplicates=allow",
        "--augmentation=photo",
        "--central_share=1",
        "--image_size=128",
        # A network of another package has neither drop path nor groups of layers.
        "--finetune_drop_path=0",
        "--finetune_layer_decay=1",
    ),
}


def measure_one(workdir, *flags):
    """Runs a seed; returns the calibration of the weights that would be exported."""
    folder = run_pipeline(workdir, *flags)
    content = json.loads((folder / "evaluation.json").read_text())
    (row,) = [row for row in content["results"] if row["exported"]]
    found, after = row["calibration"], row["calibration"].get("after")
    return {
        "weights": f"{row['stage']} {row['weights']}",
        "images": row["images"],
        "accuracy": row["accuracy"],
        "validation_images": found["fitted"]["images"],
        "temperatures": found["fitted"]["temperatures"],
        "ece": [found["ece"], (after or found)["ece"]],
        "brier": [found["brier"], (after or found)["brier"]],
        "abstain": found["abstain"],
        "class_set": found["class_set"],
        "versions": read_versions(folder),
    }


def table(result):
    """Returns the result as a Markdown table."""
    titles = ["images", "seed", "accuracy", "calibration error, points"]
    titles += ["with temperatures", "Brier score", "with temperatures", "answered"]
    titles += ["of these right", "in the set", "classes in it"]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for name, seeds in result["sets"].items():
        for seed, found in seeds.items():
            lines.append("| " + " | ".join([name, seed, *_cells(found)]) + " |")
    return "\n".join(lines)


def _cells(found):
    """Returns what was found with a seed, as cells of the table."""
    abstain, sets = found["abstain"], found["class_set"]
    cells = [f"{100 * found['accuracy']:.1f} %"]
    cells += [f"{100 * error:.1f}" for error in found["ece"]]
    cells += [f"{score:.3f}" for score in found["brier"]]
    cells.append(f"{100 * abstain['answered'] / abstain['images']:.1f} %")
    if abstain["answered"]:
        low, high = abstain["precision_interval"]
        share = f"{100 * abstain['precision']:.1f} %"
        cells.append(f"{share} ({100 * low:.1f} to {100 * high:.1f})")
    else:
        cells.append("-")
    return [*cells, f"{100 * sets['coverage']:.1f} %", f"{sets['mean_size']:.2f}"]


def measure(folder, groceries, cnn_weights, result):
    """Adds what is not in a result yet; yields it after each addition."""
    network = folder / "efficientnet_lite0.keras"
    if not network.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write(cnn_weights, network)
    images = (f"--data_dir={groceries}", f"--backbone=keras:{network}")
    for name, flags in FLAGS.items():
        seeds = result["sets"].setdefault(name, {})
        folders = [folder / f"{name.lower()}_seed{seed}" for seed in SEEDS]
        encoder = folders[0] / "pretrain" / "weights" / "encoder.safetensors"
        for seed, where in zip(map(str, SEEDS), folders, strict=True):
            if seed in seeds:
                continue
            own = (*flags, *SHARED, f"--seed={seed}")
            if name == "Groceries":
                own += images
            elif where == folders[0]:
                own += ("--stages=pretrain,finetune,evaluate",)
            else:
                own += (f"--init_from={encoder}",)
            seeds[seed] = measure_one(where, *own)
            yield result


def main():
    """Measures, writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--groceries", help="folder of the Grocery Store Dataset")
    parser.add_argument("--cnn_weights", help="of EfficientNet-Lite0")
    parser.add_argument("--workdir", default="runs/calibration", type=pathlib.Path)
    given = parser.parse_args()
    if not given.table:
        result = {"command": COMMAND, "sets": {}}
        if RESULT.exists():
            result = json.loads(RESULT.read_text())
        folder = given.workdir.resolve()
        for found in measure(folder, given.groceries, given.cnn_weights, result):
            write_json(RESULT, found)
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
