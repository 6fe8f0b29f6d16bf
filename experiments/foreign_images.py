"""How many foreign images among unlabelled ones are found, and how many others?

    python experiments/foreign_images.py --data_dir=FOLDER --cnn_weights=FILE.npz

Every fifth unlabelled image is planted: a digit among garments, or an image of classes
that have no label, of garments or of groceries (whole coarse classes, as in
coarse_classes.csv of FOLDER). Features are those of experiments/frozen_features.py,
whose network has learned none of them. For seeds 0 to 2, the stage `foreign` as it is
by default, and for comparison the same without whitening. The score was chosen on
groceries with seeds 100 to 105. Writes experiments/results/foreign_images.json and
prints the table made from it.
"""

import csv
import pathlib

import numpy as np
from campaign import spread
from frozen_features import load_fashion, load_groceries, main

SEEDS = (0, 1, 2)
FALSE_ALARMS = 0.05
NATIVE = 1_600  # unlabelled garments
CASES = {
    "garments, 25 labels a class": ("garments", 25),
    "garments, 25 labels for each of 8 classes": ("garments", 25),
    "groceries, 8 labels a class": ("groceries", 8),
}
PLANTED = "digits", "the other 2 classes", "other coarse classes"


def coarse_classes(data_dir):
    """Returns the number of the coarse class of each class of groceries."""
    with open(pathlib.Path(data_dir) / "coarse_classes.csv", encoding="utf-8") as file:
        coarse = dict(list(csv.reader(file))[1:])
    classes = sorted(path.name for path in (pathlib.Path(data_dir) / "train").iterdir())
    return np.unique([coarse[name] for name in classes], return_inverse=True)[1]


def foreign_classes(case, classes, coarse, generator):
    """Returns which classes have no labels: none, 2 of 10, or every fifth grocery."""
    if case.startswith("groceries"):
        order = generator.permutation(coarse.max() + 1)
        sizes = np.cumsum(np.bincount(coarse)[order])
        return np.flatnonzero(np.isin(coarse, order[: (sizes < classes / 5).sum() + 1]))
    left_out = 2 if "8 classes" in case else 0
    return generator.permutation(classes)[:left_out]


def planted(case, found, coarse, seed):
    """Returns labelled features, unlabelled ones, and which of these are foreign."""
    generator, (name, each) = np.random.default_rng(seed), CASES[case]
    features, labels = found[name], found[f"{name}_labels"]
    classes = labels.max() + 1
    foreign = foreign_classes(case, classes, coarse, generator)
    labeled, native = [], []
    for number in np.setdiff1d(np.arange(classes), foreign):
        members = generator.permutation(np.flatnonzero(labels == number))
        labeled.append(members[:each])
        native.append(members[each:])
    native = generator.permutation(np.concatenate(native))[:NATIVE]
    others = features[np.isin(labels, foreign)] if len(foreign) else found["digits"]
    others = generator.permutation(others)[: len(native) // 4]
    known = features[np.concatenate(labeled)]
    unlabeled = np.concatenate([features[native], others])
    return known, unlabeled, np.arange(len(unlabeled)) >= len(native)


def measure_one(known, unlabeled, foreign):
    """Returns what is found in one draw."""
    from sklearn.metrics import roc_auc_score

    from semivit_tf.evaluation.foreign_images import (
        foreign_limit,
        foreign_share,
        foreignness,
        whitening,
    )

    def plain(features):
        return features / np.linalg.norm(features, axis=1, keepdims=True)

    whiten = whitening(np.concatenate([known, unlabeled]))
    distances = foreignness(whiten(unlabeled), whiten(known))
    limit = foreign_limit(foreignness(None, whiten(known)), FALSE_ALARMS)
    chosen = distances > limit
    count, right = int(chosen.sum()), int((chosen & foreign).sum())
    without = foreignness(plain(unlabeled), plain(known))
    return {
        "unlabelled": len(foreign),
        "foreign": int(foreign.sum()),
        "found": count,
        "right": right,
        "precision": right / max(count, 1),
        "recall": right / int(foreign.sum()),
        "false_alarms": (count - right) / int((~foreign).sum()),
        "share": foreign_share(count, len(foreign), FALSE_ALARMS),
        "auroc": float(roc_auc_score(foreign, distances)),
        "auroc_without_whitening": float(roc_auc_score(foreign, without)),
    }


def measure(arguments):
    """Returns what is found in all cases, with all seeds."""
    fashion, groceries = load_fashion(arguments), load_groceries(arguments)
    found = {
        "garments": fashion["train"],
        "garments_labels": fashion["train_labels"],
        "digits": fashion["digits"],
        "groceries": groceries.features,
        "groceries_labels": groceries.labels,
    }
    coarse = coarse_classes(arguments.data_dir)
    cases = {
        case: {
            str(seed): measure_one(*planted(case, found, coarse, seed))
            for seed in SEEDS
        }
        for case in CASES
    }
    return {"expected_false_alarms": FALSE_ALARMS, "cases": cases}


def table(result):
    """Returns the result as a Markdown table: means and deviations over seeds."""
    titles = {
        "precision": "precision",
        "recall": "recall",
        "false_alarms": "false alarms",
        "share": "share as estimated",
        "auroc": "AUROC",
        "auroc_without_whitening": "AUROC without whitening",
    }
    columns = ["known", "foreign, 20 %", *titles.values()]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for (case, seeds), others in zip(result["cases"].items(), PLANTED, strict=True):
        cells = [case, others]
        cells += [spread([one[name] for one in seeds.values()]) for name in titles]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(__doc__.splitlines()[0], "foreign_images", measure, table)
