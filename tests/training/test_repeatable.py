"""No sum is left whose order is a matter of timing."""

import subprocess
import sys

import pytest
import tensorflow as tf

from semivit_tf.methods.semi_vit import SemiViT
from tests.conformance import METHODS
from tests.methods.small import semi_batch, small_convnext, small_vit

SUM_OF_THREE = """
import tensorflow as tf
from semivit_tf.training.repeatable import compute_repeatably
compute_repeatably()
total = tf.Variable(1e8)

@tf.function
def add(one, other):
    total.assign(total + (tf.reduce_mean(one) + 5.0 * tf.reduce_mean(other)))
    return total.read_value()

print(float(add(tf.fill((2,), -1e8), tf.fill((2,), 0.4))))
"""


def test_sums_are_made_as_they_are_written():
    """To 1e8 no 2 can be added in float32: (1e8 - 1e8) + 2 is 2, and this is 0."""
    command = [sys.executable, "-c", SUM_OF_THREE]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(result.stdout) == 0.0


ONE = tf.TensorSpec(())


def timed_sums(graph):
    """Returns the sums of over two tensors of which others make use as well.

    An input that nothing else uses is free when the sum is made; the sum begins with
    the first such. Whether another is free by then depends on who was faster.
    """
    found = []
    definition = graph.as_graph_def()
    bodies = [function.node_def for function in definition.library.function]
    for nodes in (definition.node, *bodies):
        uses = [name for node in nodes for name in node.input]
        for node in nodes:
            if node.op == "AddN" and node.attr["N"].i > 2:
                terms = node.input[: node.attr["N"].i]
                if any(uses.count(term) > 1 for term in terms):
                    found.append((node.name, *terms))
    return found


def test_a_timed_sum_is_found():
    @tf.function
    def add(one):
        other = one * 2.0
        return tf.add_n([one * 3.0, other, one * 4.0]), tf.exp(other)

    @tf.function
    def add_once(one):
        return tf.add_n([one * 3.0, one * 2.0, one * 4.0]), tf.exp(one)

    assert len(timed_sums(add.get_concrete_function(ONE).graph)) == 1
    assert not timed_sums(add_once.get_concrete_function(ONE).graph)


def timed_sums_of_step(model, batch):
    model.compile("adamw")
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.train_step, autograph=False)
    batch = tf.nest.map_structure(tf.constant, batch)
    return timed_sums(step.get_concrete_function(batch).graph)


@pytest.mark.parametrize("row", METHODS, ids=lambda row: row.name)
def test_no_method_makes_a_timed_sum(row):
    assert not timed_sums_of_step(row.build(), row.batch)


@pytest.mark.parametrize(
    "backbone",
    [
        small_convnext(drop_path=0.1),
        small_vit(drop_path=0.1, rematerialize=True),
        small_vit(pooling="mean"),
    ],
    ids=["convnext", "rematerialized", "mean"],
)
def test_no_backbone_makes_a_timed_sum(backbone):
    assert not timed_sums_of_step(SemiViT(backbone, 3, threshold=0.0), semi_batch())
