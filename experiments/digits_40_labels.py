"""How well do the three stages do on 40 labelled digits, against label spreading?

    python experiments/digits_40_labels.py

Runs experiments/quickstart.flags with seeds 0 to 4 (about 4 minutes each on 2 cores;
finished runs are kept) and scikit-learn's label spreading on the same splits. Writes
experiments/results/digits_40_labels.json and prints the table made from it. The test
images choose nothing: the flags were set on validation images of seeds 100 to 102.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

FLAGFILE = "experiments/quickstart.flags"
RESULT = ROOT / "experiments" / "results" / "digits_40_labels.json"
SEEDS = (0, 1, 2, 3, 4)
COLUMNS = {
    "label_spreading": "label spreading (kNN)",
    "finetune student": "fine-tuned",
    "semi_finetune student": "Semi-ViT student",
    "semi_finetune teacher": "Semi-ViT teacher",
}


def run_pipeline(seed, workdir):
    """Runs all stages of one seed; returns accuracy by stage and weights."""
    command = [sys.executable, "main.py", f"--flagfile={FLAGFILE}"]
    command += [f"--seed={seed}", f"--workdir={workdir}"]
    subprocess.run(command, check=True, cwd=ROOT)
    evaluation = json.loads((workdir / "evaluation.json").read_text())
    return {
        f"{result['stage']} {result['weights']}": result["accuracy"]
        for result in evaluation["results"]
    }


def label_spreading(seed):
    """Returns the test accuracy of kNN label spreading from the same 40 labels."""
    import numpy as np
    from sklearn.semi_supervised import LabelSpreading

    from semivit_tf.data.dataset import load_dataset

    data = load_dataset("digits", labels_per_class=4, seed=seed)
    source, test = data.parts.train, data.parts.test
    labels = np.full(len(source), -1)
    labels[data.split.labeled] = source.labels[data.split.labeled]
    pixels = source.images.reshape(len(source), -1) / 255.0
    model = LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.2, max_iter=100)
    model.fit(pixels, labels)
    return model.score(test.images.reshape(len(test), -1) / 255.0, test.labels)


def table(result):
    """Returns the result as a Markdown table."""
    seeds = sorted(result["seeds"], key=int)
    lines = ["| | " + " | ".join(f"seed {s}" for s in seeds) + " | mean +- sd |"]
    lines.append("|---|" + "---|" * (len(seeds) + 1))
    for key, title in COLUMNS.items():
        values = [100 * result["seeds"][seed][key] for seed in seeds]
        spread = f"{statistics.mean(values):.1f} +- {statistics.stdev(values):.1f}"
        cells = " | ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {title} | {cells} | {spread} |")
    return "\n".join(lines)


def main():
    """Measures all seeds and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", default="runs/digits_40_labels")
    parser.add_argument("--table", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    if not arguments.table:
        folder = pathlib.Path(arguments.workdir).resolve()
        measured = {}
        for seed in SEEDS:
            accuracies = run_pipeline(seed, folder / f"seed{seed}")
            accuracies["label_spreading"] = label_spreading(seed)
            measured[str(seed)] = accuracies
        config = json.loads((folder / "seed0" / "config.json").read_text())
        result = {
            "command": "python experiments/digits_40_labels.py",
            "metric": "accuracy on 359 test images, 40 labels (4 a class)",
            "versions": config["versions"],
            "flags": (ROOT / FLAGFILE).read_text().splitlines(),
            "seeds": measured,
        }
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
