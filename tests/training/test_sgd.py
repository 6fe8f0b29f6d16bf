"""SGD with Nesterov momentum against NumPy, and against that of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.classifier import Classifier
from semivit_tf.training.optimizers import layer_wise_adamw
from semivit_tf.training.schedules import Cosine, WarmupSevenSixteenths
from semivit_tf.training.sgd import LayerWiseSGD, layer_wise_sgd
from tests.methods.small import small_vit


def numpy_sgd(value, gradients, rates, scale, decay, momentum=0.9):
    """Nesterov's momentum of gradients, as PyTorch writes it; decay is L2."""
    moment = np.zeros_like(value)
    for gradient, rate in zip(gradients, rates, strict=True):
        gradient = gradient + decay * value
        moment = momentum * moment + gradient
        value = value - scale * rate * (gradient + momentum * moment)
    return value


@pytest.mark.parametrize("jit_compile", [False, True])
def test_updates_equal_numpy_while_the_rate_changes(jit_compile):
    model = Classifier(small_vit(depth=2), 3)
    schedule = WarmupSevenSixteenths(0.1, 5, 2)
    optimizer = layer_wise_sgd(model, schedule, layer_decay=0.5, weight_decay=0.1)
    variables = model.trainable_variables
    optimizer.build(variables)
    before = [v.numpy().astype("float64") for v in variables]
    generator = np.random.default_rng(0)
    gradients = [
        [generator.normal(size=v.shape).astype("float32") for v in variables]
        for _ in range(5)
    ]

    @tf.function(jit_compile=jit_compile)
    def update(given):
        optimizer.apply_gradients(zip(given, variables, strict=True))

    for given in gradients:
        update([tf.constant(one) for one in given])
    falling = 0.1 * np.cos(7 / 16 * np.pi * np.arange(3) / 3)
    rates = [0.0, 0.05, *falling]
    like = layer_wise_adamw(model, 1e-3, layer_decay=0.5)
    assert (optimizer.scales, optimizer.decayed) == (like.scales, like.decayed)
    assert len(set(optimizer.scales)) == 4 and len(set(optimizer.decayed)) == 2
    for number, variable in enumerate(variables):
        expected = numpy_sgd(
            before[number],
            [one[number] for one in gradients],
            rates,
            optimizer.scales[number],
            0.1 * optimizer.decayed[number],
        )
        np.testing.assert_allclose(variable, expected, rtol=1e-4, atol=1e-5)


def test_a_constant_rate_without_decay_is_keras_own():
    generator = np.random.default_rng(1)
    start = generator.normal(size=(3, 2)).astype("float32")
    found = []
    for optimizer in (
        LayerWiseSGD(0.1, weight_decay=0.0),
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    ):
        variable = keras.Variable(start)
        for seed in range(4):
            gradient = np.random.default_rng(seed).normal(size=(3, 2))
            optimizer.apply([gradient.astype("float32")], [variable])
        found.append(variable.numpy())
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_l2_goes_through_the_momentum():
    """From 1, without a gradient: 0.1 of decay, 0.9 of momentum, a rate of 1.

    The moment is 0.1, the weight 1 - (0.1 + 0.09) = 0.81. Then the gradient is 0.081,
    the moment 0.171, and the weight 0.81 - (0.081 + 0.1539) = 0.5751.
    """
    variable = keras.Variable([[1.0]])
    optimizer = LayerWiseSGD(1.0, weight_decay=0.1)
    for expected in (0.81, 0.5751):
        optimizer.apply([tf.zeros((1, 1))], [variable])
        np.testing.assert_allclose(variable, [[expected]], rtol=1e-6)


def test_a_late_variable_is_left_alone_and_then_as_new():
    start = np.ones((2, 2), "float32")
    variable = keras.Variable(start)
    options = {"scales": [0.5], "decayed": [True], "starts": [2]}
    optimizer = LayerWiseSGD(0.1, weight_decay=0.1, **options)
    gradients = np.random.default_rng(0).normal(size=(5, 2, 2)).astype("float32")
    for number, gradient in enumerate(gradients):
        optimizer.apply([gradient], [variable])
        if number < 2:
            np.testing.assert_array_equal(variable, start)
    expected = numpy_sgd(start, gradients[2:], [0.1] * 3, 0.5, 0.1)
    np.testing.assert_allclose(variable, expected, rtol=1e-5)


def test_gradients_of_replicas_are_summed_and_then_clipped(mirrored):
    with mirrored.scope():
        variable = keras.Variable([[1.0]])
        optimizer = LayerWiseSGD(0.1, weight_decay=0.0, clipnorm=2.0)
        optimizer.build([variable])

    @tf.function
    def step():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        gradient = tf.where(number == 0, [[5.0]], [[-1.0]])
        optimizer.apply_gradients([(gradient, variable)])

    mirrored.run(step)
    for copy in mirrored.experimental_local_results(variable.value):
        # 4 is cut to 2, and the first step is 1.9 times as long as the gradient.
        np.testing.assert_allclose(copy, [[1.0 - 0.1 * 1.9 * 2.0]], rtol=1e-5)


@pytest.mark.parametrize("decay", [5e-4, Cosine(0.0, 0.1, 10)])
def test_configuration_round_trip(decay):
    model = Classifier(small_vit(), 3)
    rates = WarmupSevenSixteenths(0.03, 9, 2)
    optimizer = layer_wise_sgd(model, rates, layer_decay=0.5, weight_decay=decay)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(optimizer)
    )
    assert again.get_config() == optimizer.get_config()
    assert (again.momentum, again.nesterov) == (0.9, True)
    assert (again.scales, again.decayed) == (optimizer.scales, optimizer.decayed)


def test_no_momentum_is_refused():
    with pytest.raises(ValueError, match="`momentum` should be positive"):
        LayerWiseSGD(0.1, momentum=0)
