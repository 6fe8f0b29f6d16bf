"""How many labels that --stages=suspects lists are wrong, and how many are found?

    python experiments/label_suspects.py --data_dir=FOLDER --cnn_weights=FILE.npz

Of 1,000 images of train/ and val/ of the Grocery Store Dataset, see label_next.py, 5 %
get another label, drawn at random; the others are taken for right. Linear probes of
frozen features of five folds answer, as in the stage. Three seeds. Writes
experiments/results/label_suspects.json and prints the table.
"""

import numpy as np
from frozen_features import load_groceries, main, probabilities

SEEDS, LABELS, WRONG, FOLDS = (0, 1, 2), 1000, 0.05, 5


def planted(labels, classes, generator):
    """Returns labels of which some are wrong, and the indices of these."""
    wrong = generator.choice(len(labels), round(WRONG * len(labels)), replace=False)
    found = labels.copy()
    found[wrong] = (
        labels[wrong] + generator.integers(1, classes, len(wrong))
    ) % classes
    return found, wrong


def measure_one(images, seed):
    """Returns the counts of one seed."""
    from semivit_tf.data.folds import fold_numbers
    from semivit_tf.evaluation.cross_validation import held_out_scores
    from semivit_tf.evaluation.label_suspects import label_suspects
    from semivit_tf.evaluation.linear_probe import FALLBACK

    generator = np.random.default_rng(seed)
    drawn = generator.choice(len(images.labels), LABELS, replace=False)
    features, truth = images.features[drawn], images.labels[drawn]
    labels, wrong = planted(truth, images.classes, generator)
    folds = fold_numbers(labels, FOLDS, seed)
    scores = held_out_scores(features, labels, folds, images.classes, FALLBACK)
    suspects, answers = label_suspects(probabilities(scores), labels)
    hits = np.isin(suspects, wrong)
    return {
        "labels": len(labels),
        "wrong": len(wrong),
        "suspects": len(suspects),
        "wrong_suspects": int(hits.sum()),
        "wrong_of_the_first": int(hits[: len(wrong)].sum()),
        "true_label_answered": int((answers == truth[suspects])[hits].sum()),
        "accuracy": float((scores.argmax(axis=1) == truth).mean()),
    }


def measure(arguments):
    """Returns the counts by seed."""
    images = load_groceries(arguments)
    return {"seeds": {str(seed): measure_one(images, seed) for seed in SEEDS}}


def table(result):
    """Returns the result as a Markdown table."""
    titles = ["seed", "labels", "wrong", "suspects", "precision", "recall"]
    titles += ["precision of the first", "true class answered", "probes right"]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    shares = []
    for seed, found in result["seeds"].items():
        hits, wrong = found["wrong_suspects"], found["wrong"]
        shares.append(
            [
                hits / found["suspects"],
                hits / wrong,
                found["wrong_of_the_first"] / wrong,
                found["true_label_answered"] / hits,
                found["accuracy"],
            ]
        )
        cells = [seed, *(str(found[name]) for name in ("labels", "wrong", "suspects"))]
        cells += [f"{100 * share:.1f} %" for share in shares[-1]]
        lines.append("| " + " | ".join(cells) + " |")
    means = [f"{100 * share:.1f} %" for share in np.mean(shares, axis=0)]
    lines.append("| " + " | ".join(["mean", "", "", "", *means]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(__doc__.splitlines()[0], "label_suspects", measure, table)
