"""How good is what the stages made, on images that nothing was chosen by?"""

import pathlib

import numpy as np
import tensorflow as tf

from semivit_tf.evaluation.comparison import compare_predictions, verdict
from semivit_tf.evaluation.metrics import evaluate_probabilities
from semivit_tf.evaluation.tables import results_table
from semivit_tf.stages.run import FROM_FILE

# Whose weights each stage leaves, in the order of the table.
EVALUATED = (
    ("finetune", "student"),
    ("finetune", "teacher"),
    ("semi_finetune", "student"),
    ("semi_finetune", "teacher"),
)


def held_out(run):
    """Returns the name and batches of the images to report on, or two Nones."""
    for part in ("test", "validation"):
        batches = getattr(run.data, part)()
        if batches is not None:
            return part, batches
    return None, None


def weights_there(run):
    """Returns the (stage, weights) that can be tested, in the order of the table."""
    if run.answers_from_file:
        return [(FROM_FILE, pathlib.Path(run.config.backbone.init_from).name)]
    folders = {stage: run.folder.stage(stage) for stage, _ in EVALUATED}
    return [
        (stage, weights)
        for stage, weights in EVALUATED
        if folders[stage].done and folders[stage].weights(weights).exists()
    ]


def predict_with(run, batches):
    """Returns a function from stage and weights to labels and probabilities."""
    network = run.classifier()

    @tf.function
    def probabilities_of(images):
        logits = tf.cast(network(images, training=False), tf.float32)
        return tf.nn.softmax(logits)

    def predict(stage, weights):
        run.load_kept(network, stage, weights)
        pairs = [(labels, probabilities_of(images)) for images, labels in batches]
        return tuple(np.concatenate(part) for part in zip(*pairs, strict=True))

    return predict


def evaluate(run):
    """Tests all weights that are there; writes and returns `evaluation.json`."""
    there = weights_there(run)
    before = run.folder.read_json("evaluation.json")
    if before and [(r["stage"], r["weights"]) for r in before["results"]] == there:
        return before
    part, batches = held_out(run)
    content = {"part": part, "results": []}
    if part is None:
        run.folder.write_json("evaluation.json", content)
        return content
    predict = predict_with(run, batches)
    split = run.data.split
    predicted = {}
    for stage, weights in there:
        labels, probabilities = predict(stage, weights)
        predicted[stage, weights] = probabilities.argmax(axis=1)
        content["results"].append(
            {
                "stage": stage,
                "weights": weights,
                "labels_used": None if stage == FROM_FILE else len(split.labeled),
                "validation_labels": len(split.validation),
                **evaluate_probabilities(labels, probabilities, run.data.class_names),
            }
        )
    first, last = EVALUATED[0], EVALUATED[-1]
    if last in predicted:
        content["teacher_against_finetune"] = compare_predictions(
            labels, predicted[first], predicted[last]
        )
    run.folder.write_json("evaluation.json", content)
    return content


def describe(content):
    """Returns what a person should read of an evaluation."""
    if content["part"] is None:
        return "No test and no validation images: how accurate this is, is not known."
    lines = [results_table(content["results"], content["part"])]
    if "teacher_against_finetune" in content:
        images = content["results"][0]["images"]
        comparison = content["teacher_against_finetune"]
        lines += ["", verdict(comparison, images, content["part"])]
    if content["part"] == "validation":
        lines.append("There are no test images: validation images took their place.")
    validation = content["results"][0]["validation_labels"]
    if validation:
        lines.append(f"{validation} more labels were used for validation.")
    return "\n".join(lines)
