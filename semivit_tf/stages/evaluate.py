"""How good is what the stages made, on images that nothing was chosen by?"""

import numpy as np
import tensorflow as tf

from semivit_tf.evaluation.comparison import compare_predictions, verdict
from semivit_tf.evaluation.metrics import evaluate_probabilities
from semivit_tf.evaluation.tables import results_table
from semivit_tf.training.checkpoints import load_weights

STAGE = "evaluate"

# Whose weights each stage leaves, in the order of the table.
EVALUATED = (
    ("finetune", "student"),
    ("semi_finetune", "student"),
    ("semi_finetune", "teacher"),
)


def predict_test(run, network):
    """Returns the test labels `[N]` and a network's probabilities `[N, K]`."""
    labels, probabilities = [], []

    @tf.function
    def probabilities_of(images):
        logits = tf.cast(network(images, training=False), tf.float32)
        return tf.nn.softmax(logits)

    for images, truth in run.data.test():
        labels.append(truth.numpy())
        probabilities.append(probabilities_of(images).numpy())
    return np.concatenate(labels), np.concatenate(probabilities)


def evaluate(run):
    """Tests all weights that are there; writes `evaluation.json`, prints the table."""
    network = run.classifier()
    split = run.data.split
    results, predicted = [], {}
    for stage, weights in EVALUATED:
        if not run.folder.stage(stage).done:
            continue
        load_weights(network, run.folder.stage(stage).weights(weights))
        labels, probabilities = predict_test(run, network)
        predicted[stage, weights] = probabilities.argmax(axis=1)
        results.append(
            {
                "stage": stage,
                "weights": weights,
                "labels_used": len(split.labeled),
                "validation_labels": len(split.validation),
                **evaluate_probabilities(labels, probabilities, run.data.class_names),
            }
        )
    content = {"results": results}
    before, after = EVALUATED[0], EVALUATED[-1]
    if before in predicted and after in predicted:
        content["teacher_against_finetune"] = compare_predictions(
            labels, predicted[before], predicted[after]
        )
    run.folder.write_json("evaluation.json", content)
    run.folder.stage(STAGE).finish(evaluated=[list(key) for key in predicted])
    return content


def describe(content):
    """Returns what a person should read of an evaluation."""
    lines = [results_table(content["results"])]
    if "teacher_against_finetune" in content:
        images = content["results"][0]["images"]
        lines += ["", verdict(content["teacher_against_finetune"], images)]
    validation = content["results"][0]["validation_labels"]
    if validation:
        lines.append(f"{validation} more labels were used for validation.")
    return "\n".join(lines)
