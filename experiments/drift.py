"""How often is drift found where there is none, and where there is?

    python experiments/drift.py --cnn_weights=FILE.npz

References of 500 test images of Fashion-MNIST are compared with 100 other images, as
the stage `check_drift` does, but with 199 permutations: 200 draws of the same kind, and
10 of each shift. Features are those of experiments/frozen_features.py, in 100 random
directions; confidences are those of a logistic regression on 250 labelled images.
Writes experiments/results/drift.json and prints the table made from it.
"""

import numpy as np
from frozen_features import load_fashion, main

REFERENCE, NEW, DIRECTIONS, LABELS = 500, 100, 100, 25
SAME, SHIFTS, DRAWS, LEVEL = 200, 10, 199, 0.05


def classifier(features, labels):
    """Returns a logistic regression on some labelled images of each class."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = [np.flatnonzero(labels == number)[:LABELS] for number in range(10)]
    chosen = np.concatenate(chosen)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    return model.fit(features[chosen], labels[chosen])


def pools(found):
    """Returns by name what new images are drawn from, and of it the test images."""
    shifted = len(found["inverted"])
    test, labels = found["test"], found["test_labels"]
    test, labels = test[:-shifted], labels[:-shifted]
    return {
        "the same": test,
        "inverted": found["inverted"],
        "blurred": found["blurred"],
        "digits": found["digits"],
        "one digit in five": None,  # of both
        "half of the classes": test[labels < 5],
    }


def draw(pools, name, generator):
    """Returns a reference and new images of a pool; no test image is in both."""
    order = generator.permutation(len(pools["the same"]))
    reference, rest = order[:REFERENCE], order[REFERENCE:]
    test = pools["the same"]
    if name == "the same":
        return test[reference], test[rest[:NEW]]
    if name == "one digit in five":
        digits = generator.permutation(pools["digits"])[: NEW // 5]
        return test[reference], np.concatenate([test[rest[: NEW - NEW // 5]], digits])
    return test[reference], generator.permutation(pools[name])[:NEW]


def measure(arguments):
    """Returns how often each kind of new images is taken for drift."""
    from semivit_tf.evaluation.drift import compare_samples

    found = load_fashion(arguments)
    model = classifier(found["train"], found["train_labels"])
    axes = np.random.default_rng(0).normal(size=(found["digits"].shape[1], DIRECTIONS))

    def seen(images):
        confidences = model.predict_proba(images).max(axis=1)
        return images @ axes / len(axes) ** 0.5, confidences

    kinds, result = pools(found), {}
    for name in kinds:
        alarms = {"joined": 0, "features": 0, "confidences": 0}
        draws = SAME if name == "the same" else SHIFTS
        for seed in range(draws):
            generator = np.random.default_rng(seed)
            reference, new = map(seen, draw(kinds, name, generator))
            compared = compare_samples(reference, new, DRAWS, seed)
            alarms["joined"] += int(compared["p_value"] < LEVEL)
            for one in ("features", "confidences"):
                alarms[one] += int(compared[one]["p_value"] < LEVEL)
        result[name] = {"draws": draws, "alarms": alarms}
    return {"level": LEVEL, "kinds": result}


def table(result):
    """Returns the result as a Markdown table."""
    titles = "new images", "draws", "drift found", "by features", "by confidences"
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for name, found in result["kinds"].items():
        counts = " | ".join(str(count) for count in found["alarms"].values())
        lines.append(f"| {name} | {found['draws']} | {counts} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(__doc__.splitlines()[0], "drift", measure, table)
