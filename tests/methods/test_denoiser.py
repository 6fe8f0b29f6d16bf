"""The denoiser: its loss by hand, dropped labels, precision, and learning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf import Denoiser, EMATeacher
from semivit_tf.diffusion import DiscreteSchedule
from semivit_tf.methods.denoiser import GrowingMomentum
from tests.diffusion.small import small_u_vit
from tests.methods.small import loss_and_terms

IMAGES = np.random.default_rng(0).uniform(0, 255, (64, 8, 8, 1)).astype("float32")
LABELS = np.arange(64) % 3


def silenced(model):
    """Lets a model's networks predict zero."""
    for network in (model.student, model.teacher):
        network.set_weights([w * 0 for w in network.get_weights()])
    return model


@pytest.mark.parametrize("prediction", ["noise", "v"])
@pytest.mark.parametrize("schedule", [None, DiscreteSchedule()])
def test_the_batch_is_noised_as_the_schedule_says(prediction, schedule):
    model = Denoiser(small_u_vit(), 3, prediction, schedule=schedule, seed=0)
    batch = {k: v.numpy() for k, v in model.prepare((IMAGES, LABELS)).items()}
    clean = IMAGES / 127.5 - 1
    times = batch["time"].astype("float64")[:, None, None, None]
    alpha, sigma = model.schedule.alpha(times), model.schedule.sigma(times)
    if prediction == "noise":
        noise = batch["target"]
    else:  # v = alpha noise - sigma clean
        noise = (batch["target"] + sigma * clean) / alpha
    expected = alpha * clean + sigma * noise
    np.testing.assert_allclose(batch["noised"], expected, atol=2e-4)
    # A mean of 4,096 normal numbers has an error of 0.016.
    np.testing.assert_allclose(noise.mean(), 0.0, atol=0.06)
    np.testing.assert_allclose(noise.std(), 1.0, atol=0.05)
    assert 0.3 < times.mean() < 0.7 and len(np.unique(times)) > 50


def test_a_network_that_predicts_no_noise_loses_one():
    model = silenced(Denoiser(small_u_vit(), 3, seed=0))
    prepared = model.prepare((IMAGES, LABELS))
    loss, _ = model.objective(prepared)
    exact = np.mean(np.square(prepared["target"].numpy(), dtype="float64"))
    np.testing.assert_allclose(loss, exact, rtol=1e-6)
    np.testing.assert_allclose(loss, 1.0, atol=0.1)


def test_the_first_loss_is_near_one():
    model = Denoiser(small_u_vit(), 3, seed=0)
    loss, _ = loss_and_terms(model, (IMAGES, LABELS))
    assert 0.9 < float(loss) < 1.3


def test_labels_are_dropped_as_often_as_asked():
    model = Denoiser(small_u_vit(), 3, label_dropout=0.15, seed=0)
    count = 64 * 40
    images, labels = np.repeat(IMAGES, 40, axis=0), np.repeat(LABELS, 40)
    shown = model.prepare((images, labels))["label"].numpy()
    share = (shown == 3).mean()
    assert abs(share - 0.15) < 3 * np.sqrt(0.15 * 0.85 / count)
    np.testing.assert_array_equal(shown[shown != 3], labels[shown != 3])
    model = Denoiser(small_u_vit(num_classes=3), 3, label_dropout=0.0)
    np.testing.assert_array_equal(model.prepare((images, labels))["label"], labels)


def test_the_row_of_no_class_learns_and_others_do_as_well():
    model = Denoiser(small_u_vit(), 3, label_dropout=0.5, seed=0)
    before = model.student.class_table.numpy()
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(IMAGES, LABELS, batch_size=32, verbose=0)
    changes = np.abs(model.student.class_table.numpy() - before).max(axis=1)
    assert (changes > 0).all() and len(changes) == 4


def test_noise_follows_from_the_predicted_velocity():
    """A velocity of zero means noise of sigma times the image that is seen."""
    model = silenced(Denoiser(small_u_vit(), 3, "v"))
    times = np.array([0.2, 0.9], "float32")
    noise = model(IMAGES[:2], times, LABELS[:2]).numpy()
    sigma = model.schedule.sigma(times.astype("float64"))
    np.testing.assert_allclose(
        noise, sigma[:, None, None, None] * IMAGES[:2], rtol=1e-5
    )


def test_networks_get_the_time_that_they_know():
    model = Denoiser(small_u_vit(), 3)
    times = np.array([0.25, 1.0], "float32")
    expected = model.teacher(IMAGES[:2] / 255, 999 * times, LABELS[:2])
    found = model(IMAGES[:2] / 255, times, LABELS[:2])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_answers_are_float32_in_any_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = Denoiser(small_u_vit(), 3, "v")
    finally:
        keras.config.set_dtype_policy("float32")
    inputs = IMAGES[:2] / 255, np.array([0.001, 0.002], "float32"), LABELS[:2]
    found = model.predict_on_batch(inputs)
    assert found.dtype == "float32"
    # Two times that bfloat16 would call nearly the same near 1000.
    late = np.array([0.998, 0.9985], "float32")
    same = np.repeat(IMAGES[:1] / 255, 2, axis=0)
    one, other = model.predict_on_batch((same, late, np.zeros(2, "int32")))
    assert np.abs(one - other).max() > 0


def test_a_fixed_batch_is_learned_by_heart():
    model = Denoiser(small_u_vit(width=32, patch_size=2), 3, seed=0)
    fixed = model.prepare((IMAGES[:16], LABELS[:16]))
    first = float(model.loss_of(model.student, fixed))
    model.prepare = lambda batch: fixed
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
    data = tf.data.Dataset.from_tensors((IMAGES[:16], LABELS[:16])).repeat(400)
    model.fit(data, verbose=0)
    assert float(model.loss_of(model.student, fixed)) < 0.1 * first


def test_the_average_grows_with_the_run():
    momentum = GrowingMomentum(0.9)
    found = [float(momentum(tf.constant(n))) for n in (0, 8, 71, 80, 1000)]
    np.testing.assert_allclose(found, [0.1, 0.5, 72 / 81, 0.9, 0.9], rtol=1e-6)
    model = Denoiser(small_u_vit(), 3)
    assert model.default_teacher().momentum == GrowingMomentum(0.9999)
    assert model.default_teacher().decides_like(EMATeacher(GrowingMomentum()))


def test_the_teacher_is_the_growing_average():
    model = Denoiser(small_u_vit(), 3, seed=0)
    weights = [model.student.head.kernel.numpy()]
    expected = weights[0]
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    for update in range(3):
        model.fit(IMAGES[:8], LABELS[:8], batch_size=8, verbose=0)
        momentum = (1 + update) / (10 + update)
        new = model.student.head.kernel.numpy()
        expected = momentum * expected + (1 - momentum) * new
    np.testing.assert_allclose(model.teacher.head.kernel, expected, atol=1e-6)
    assert np.abs(expected - new).max() > 1e-6


def test_validation_sees_both_networks_and_the_same_draws_each_time():
    model = Denoiser(small_u_vit(), 3)
    model.compile(keras.optimizers.SGD(0.0))
    data = (IMAGES, LABELS)
    history = model.fit(*data, batch_size=16, epochs=2, verbose=0, validation_data=data)
    first, second = history.history["val_teacher_loss"]
    assert first == second == history.history["val_loss"][0]
    assert "val_student_loss" in history.history
    silenced(model)
    assert model.evaluate(*data, verbose=0, return_dict=True)["teacher_loss"] != first


@pytest.mark.parametrize(
    "options, message",
    [
        ({"prediction": "velocity"}, "`prediction` should be one of: noise, v"),
        ({"label_dropout": 1.0}, "`label_dropout` should be in"),
        ({"num_classes": 4}, "should have num_classes=5, one of which means no class"),
        ({"num_classes": None}, "should have num_classes=None"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Denoiser(small_u_vit(), **{"num_classes": 3, **options})


def test_wrong_labels_are_named():
    model = Denoiser(small_u_vit(), 3)
    model.compile()
    with pytest.raises(ValueError, match="of 0 to 2"):
        model.fit(IMAGES, LABELS + 1, verbose=0)
    with pytest.raises(ValueError, match="class numbers. Received: labels of shape"):
        model.prepare((IMAGES, np.eye(3)[LABELS]))
    with pytest.raises(ValueError, match="class numbers. Received: None"):
        model.prepare(IMAGES)


def test_networks_without_classes_learn_from_images_alone():
    model = Denoiser(small_u_vit(num_classes=None), None, seed=0)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    history = model.fit(IMAGES, batch_size=32, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
