"""How well do the three stages do on 40 labelled digits, against label spreading?

    python experiments/digits_40_labels.py

Runs experiments/quickstart.flags with seeds 0 to 4 (about 4 minutes each on 2 cores;
finished runs are kept) and scikit-learn's label spreading on the same splits. Writes
experiments/results/digits_40_labels.json and prints the table made from it. The test
images choose nothing: the flags were set on validation images of seeds 100 to 102.
"""

import sys

from campaign import (
    RESULTS,
    ROOT,
    main,
    read_evaluation,
    read_versions,
    run_pipeline,
    spread,
)

sys.path.insert(0, str(ROOT))

FLAGFILE = "experiments/quickstart.flags"
RESULT = RESULTS / "digits_40_labels.json"
SEEDS = (0, 1, 2, 3, 4)
COLUMNS = {
    "label_spreading": "label spreading (kNN)",
    "finetune student": "fine-tuned",
    "semi_finetune student": "Semi-ViT student",
    "semi_finetune teacher": "Semi-ViT teacher",
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
        values = [result["seeds"][seed][key] for seed in seeds]
        cells = " | ".join(f"{100 * value:.1f}" for value in values)
        lines.append(f"| {title} | {cells} | {spread(values)} |")
    return "\n".join(lines)


def measure(folder):
    """Runs all seeds."""
    measured = {}
    for seed in SEEDS:
        flags = f"--flagfile={FLAGFILE}", f"--seed={seed}"
        workdir = run_pipeline(folder / f"seed{seed}", *flags)
        found = read_evaluation(workdir)
        measured[str(seed)] = {name: found[name]["accuracy"] for name in found}
        measured[str(seed)]["label_spreading"] = label_spreading(seed)
    return {
        "command": "python experiments/digits_40_labels.py",
        "metric": "accuracy on 359 test images, 40 labels (4 a class)",
        "versions": read_versions(folder / "seed0"),
        "flags": (ROOT / FLAGFILE).read_text().splitlines(),
        "seeds": measured,
    }


if __name__ == "__main__":
    main(__doc__.splitlines()[0], RESULT, measure, table, "runs/digits_40_labels")
