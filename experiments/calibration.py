"""Are calibrated answers right as often as they promise, on images that chose nothing?

    python experiments/calibration.py
    python experiments/calibration.py --flagfile=experiments/quickstart.flags ...

Runs a recipe with validation images, `--abstain_precision=0.98` and `--coverage=0.95`
for three seeds (Fashion-MNIST with 250 labels: about half an hour each on 2 cores; a
finished run is kept), reads what `evaluation.json` found on the test images with the
weights that would be exported, writes experiments/results/calibration.json and prints
the table made from it.
"""

import argparse
import json
import pathlib

from campaign import RESULTS, read_versions, run_pipeline, write_json

RESULT = RESULTS / "calibration.json"
SEEDS = (0, 1, 2)
PROMISES = ("--abstain_precision=0.98", "--coverage=0.95")
STAGES = "--stages=check,pretrain,finetune,semi_finetune,evaluate"


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
    titles = ["seed", "accuracy", "calibration error, points", "with temperatures"]
    titles += ["Brier score", "with temperatures", "answered", "of these right"]
    titles += ["in the set", "classes in it"]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for seed, found in result["seeds"].items():
        abstain, sets = found["abstain"], found["class_set"]
        cells = [seed, f"{100 * found['accuracy']:.1f} %"]
        cells += [f"{100 * error:.1f}" for error in found["ece"]]
        cells += [f"{score:.3f}" for score in found["brier"]]
        cells.append(f"{100 * abstain['answered'] / abstain['images']:.1f} %")
        if abstain["answered"]:
            low, high = abstain["precision_interval"]
            share = f"{100 * abstain['precision']:.1f} %"
            cells.append(f"{share} ({100 * low:.1f} to {100 * high:.1f})")
        else:
            cells.append("-")
        cells.append(f"{100 * sets['coverage']:.1f} %")
        cells.append(f"{sets['mean_size']:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    """Measures, writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument(
        "--flagfile", default="experiments/fashion_mnist_250_labels.flags"
    )
    parser.add_argument("--validation_per_class", type=int, default=100)
    parser.add_argument("--workdir", default="runs/calibration")
    parser.add_argument("--result", type=pathlib.Path, default=RESULT)
    given, more = parser.parse_known_args()
    if not given.table:
        flags = [f"--flagfile={given.flagfile}", *PROMISES, STAGES, *more]
        flags.append(f"--validation_per_class={given.validation_per_class}")
        result = {"command": "python experiments/calibration.py", "flags": flags}
        result["seeds"] = {
            str(seed): measure_one(
                pathlib.Path(given.workdir).resolve() / f"seed{seed}",
                *flags,
                f"--seed={seed}",
            )
            for seed in SEEDS
        }
        write_json(given.result, result)
    print(table(json.loads(given.result.read_text())))


if __name__ == "__main__":
    main()
