"""Is it worth more to label what --stages=label_next asks for than any images?

    python experiments/label_next.py --data_dir=FOLDER --cnn_weights=FILE.npz

FOLDER has the Grocery Store Dataset as train/, val/ and test/; the weights are those of
EfficientNet-Lite0, see efficientnet_lite0.py. Three rounds with three seeds: a linear
probe of frozen features learns the labels that there are, and says which images of
train/ and val/ to label next; their true labels are the answers. Of each round, images
are also drawn at random. The rule was chosen on seed 100, where it was ahead of the
smallest margins and of the same rule on features of equal length. Writes
experiments/results/label_next.json and prints the table.
"""

import numpy as np
from frozen_features import load_groceries, main, probabilities

from semivit_tf.evaluation.next_labels import choose_next

SEEDS, ROUNDS = (0, 1, 2), 3
EACH = 4  # labels of each class at the start; in each round as many labels more


def standardised(features):
    """Returns features of zero mean and unit deviation."""
    deviation = features.std(axis=0)
    return (features - features.mean(axis=0)) / np.where(deviation > 1e-6, deviation, 1)


def by_network(features, answers, count, seed):
    """Returns the images that the stage would ask for."""
    return choose_next(features, answers, count, seed)


def at_random(features, answers, count, seed):
    """Returns any images."""
    return np.random.default_rng(seed).choice(len(features), count, replace=False)


RULES = {"asked for": by_network, "at random": at_random}


def first_labels(labels, seed):
    """Returns so many images of each class, drawn by a seed."""
    generator = np.random.default_rng(seed)
    drawn = [
        generator.permutation(np.flatnonzero(labels == kind))[:EACH]
        for kind in np.unique(labels)
    ]
    return np.concatenate(drawn)


def simulate(images, rule, seed):
    """Returns the accuracy on the test images before and after each round."""
    from semivit_tf.evaluation.linear_probe import FALLBACK, probe_scores

    known, found = first_labels(images.labels, seed), []
    count, features = len(known), standardised(images.features)
    for turn in range(ROUNDS + 1):
        others = np.setdiff1d(np.arange(len(images.labels)), known)
        asked = np.concatenate([images.test_features, images.features[others]])
        scores, _ = probe_scores(
            images.features[known],
            images.labels[known],
            asked,
            images.classes,
            FALLBACK,
        )
        tests = len(images.test_labels)
        right = scores[:tests].argmax(axis=1) == images.test_labels
        found.append(float(right.mean()))
        answers = probabilities(scores[tests:])
        if turn < ROUNDS:
            chosen = rule(features[others], answers, count, 10 * seed + turn)
            known = np.concatenate([known, others[chosen]])
    return found


def measure(arguments):
    """Returns all accuracies: of each rule and seed, at the start and after rounds."""
    images = load_groceries(arguments)
    return {
        "metric": "accuracy on the test images",
        "images": {"train": len(images.labels), "test": len(images.test_labels)},
        "labels": EACH * images.classes,
        "seeds": list(SEEDS),
        "accuracies": {
            name: [simulate(images, rule, seed) for seed in SEEDS]
            for name, rule in RULES.items()
        },
    }


def table(result):
    """Returns the result as a Markdown table: means and deviations over seeds."""
    counts = [result["labels"] * (turn + 1) for turn in range(ROUNDS + 1)]
    titles = ["images", *(f"{count} labels" for count in counts)]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]

    def spread(values, sign=""):
        return f"{np.mean(values):{sign}.1f} +- {np.std(values, ddof=1):.1f}"

    rules = {name: 100 * np.array(of) for name, of in result["accuracies"].items()}
    for name, found in rules.items():
        lines.append("| " + " | ".join([name, *map(spread, found.T)]) + " |")
    asked, random = (rules[name] for name in RULES)
    gains = [spread(gain, "+") for gain in (asked - random).T[1:]]
    lines.append("| " + " | ".join(["difference", "", *gains]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(__doc__.splitlines()[0], "label_next", measure, table)
