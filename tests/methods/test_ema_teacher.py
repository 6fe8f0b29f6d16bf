"""The teacher's average against its closed form, in every way a step can run."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.ema_teacher import EMATeacher, moving_average
from semivit_tf.methods.mixings.no_mixing import NoMixing
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.training.schedules import Cosine
from tests.methods.small import semi_batch, small_vit


def small_network():
    """Two dense layers: the teacher moves alike whatever the backbone."""
    images = keras.Input((8, 8, 1))
    pixels = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    hidden = keras.layers.Dense(8, activation="gelu")(pixels)
    return keras.Model(images, keras.layers.Dense(6)(hidden))


def trained(steps, *, momentum=0.9, optimizer=None, callbacks=None, **compile_options):
    """Trains for a few steps; returns the model and its weights after each step."""
    keras.utils.set_random_seed(0)
    options = {"mixup_alpha": 0, "cutmix_alpha": 0, "mixing": NoMixing()}
    model = SemiViT(small_network(), 3, threshold=0.0, seed=0, **options)
    model.compile(optimizer or keras.optimizers.SGD(0.5), **compile_options)
    history = []

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            history.append(model.student.get_weights())

    start = model.teacher.get_weights()
    if callbacks is None:
        callbacks = [EMATeacher(momentum)]
    data = tf.data.Dataset.from_tensors(semi_batch()).repeat(steps)
    model.fit(data, verbose=0, callbacks=[*callbacks, Record()])
    return model, start, history


def assert_follows(model, start, history, momenta):
    expected = [weights.astype("float64") for weights in start]
    for student, momentum in zip(history, momenta, strict=True):
        expected = [
            momentum * old + (1 - momentum) * new
            for old, new in zip(expected, student, strict=True)
        ]
    moved = 0.0
    for wanted, weight, old in zip(expected, model.teacher.weights, start, strict=True):
        np.testing.assert_allclose(weight.numpy(), wanted, rtol=1e-5, atol=1e-6)
        moved = max(moved, np.abs(wanted - old).max())
    assert moved > 1e-3 or set(momenta) == {1.0}


def test_moving_average_of_a_constant_student_has_the_closed_form():
    average, student, momentum = tf.constant(2.0), tf.constant(5.0), 0.8
    for _ in range(7):
        average = moving_average(average, student, momentum)
    np.testing.assert_allclose(average, 0.8**7 * 2 + (1 - 0.8**7) * 5, rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_teacher_follows_each_update(momentum, jit_compile):
    model, start, history = trained(4, momentum=momentum, jit_compile=jit_compile)
    assert_follows(model, start, history, [momentum] * 4)
    if momentum in (0.0, 1.0):  # both are exact, not merely close
        expected = history[-1] if momentum == 0 else start
        for wanted, weight in zip(expected, model.teacher.weights, strict=True):
            np.testing.assert_array_equal(weight.numpy(), wanted)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_several_steps_per_execution_move_the_teacher_as_often(jit_compile):
    """The callback is called once for three steps; the teacher moves at each."""
    options = {"jit_compile": jit_compile}
    several, _, calls = trained(7, steps_per_execution=3, **options)
    single, start, history = trained(7, **options)
    assert (len(calls), len(history)) == (3, 7)
    assert_follows(several, start, history, [0.9] * 7)
    for a, b in zip(several.student.weights, single.student.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)
    data = tf.data.Dataset.from_tensors(semi_batch()).repeat(5)
    data = data.map(lambda views, labels: (views["image"], labels))
    ours, theirs = [m.evaluate(data, return_dict=True) for m in (several, single)]
    assert ours == pytest.approx(theirs, abs=1e-5) and "student_accuracy" in ours


def test_accumulation_moves_the_teacher_once_per_update():
    optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=2)
    model, start, history = trained(6, optimizer=optimizer)
    assert_follows(model, start, history, [1.0, 0.9, 1.0, 0.9, 1.0, 0.9])


def test_momentum_may_be_a_schedule():
    schedule = Cosine(0.5, 1.0, total_steps=4)
    momenta = [1 - 0.5 * (1 + np.cos(np.pi * step / 4)) / 2 for step in range(4)]
    model, start, history = trained(4, momentum=schedule)
    assert_follows(model, start, history, momenta)


def test_fit_adds_a_teacher_callback_with_the_default_momentum():
    model, start, history = trained(3, callbacks=[])
    expected = [
        old * 0.9999**3 + 0.0001 * (0.9999**2 * s1 + 0.9999 * s2 + s3)
        for old, s1, s2, s3 in zip(start, *history, strict=True)
    ]
    moved = 0.0
    for wanted, weight, old in zip(expected, model.teacher.weights, start, strict=True):
        np.testing.assert_allclose(weight.numpy(), wanted, atol=1e-6)
        moved = max(moved, np.abs(weight.numpy() - old).max())
    assert moved > 1e-5


def test_batch_statistics_are_averaged_too():
    inputs = keras.Input((8, 8, 1))
    features = keras.layers.BatchNormalization()(keras.layers.Flatten()(inputs))
    model = SemiViT(keras.Model(inputs, features), 3)
    model.compile(keras.optimizers.SGD(0.1))
    norm = model.teacher.backbone.layers[-1]
    start = norm.moving_mean.numpy()
    data = tf.data.Dataset.from_tensors(semi_batch())
    model.fit(data, verbose=0, callbacks=[EMATeacher(0.25)])
    student = model.student.backbone.layers[-1].moving_mean.numpy()
    assert np.abs(student).max() > 0.1
    np.testing.assert_allclose(
        norm.moving_mean.numpy(), 0.25 * start + 0.75 * student, rtol=1e-5
    )


def test_validation_sees_only_the_chosen_weights():
    views, labels = semi_batch()
    for chosen, absent in (("teacher", "student"), ("student", "teacher")):
        model = SemiViT(small_vit(), 3)
        model.compile()
        logs = model.fit(
            tf.data.Dataset.from_tensors((views, labels)),
            validation_data=(views["image"], labels),
            callbacks=[EMATeacher(validate=chosen)],
            verbose=0,
        ).history
        assert f"val_{chosen}_accuracy" in logs
        assert f"val_{absent}_accuracy" not in logs


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"`momentum` should be in \[0, 1\]"):
        EMATeacher(1.5)
    with pytest.raises(ValueError, match="validate='all'"):
        EMATeacher(validate="all")
    with pytest.raises(ValueError, match="a student and a teacher"):
        EMATeacher().set_model(Classifier(small_vit(), 3))
