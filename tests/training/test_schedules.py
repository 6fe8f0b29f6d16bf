"""Rates, momenta and temperatures at the first, the turning and the last step."""

import keras
import numpy as np
import pytest

from semivit_tf.training.schedules import (
    Cosine,
    EpochRamp,
    WarmupCosine,
    WarmupSevenSixteenths,
    scaled_learning_rate,
)


def test_learning_rate_scales_with_labelled_images():
    assert scaled_learning_rate(1e-3, 128) == 5e-4  # ViT-B, stage 3
    assert scaled_learning_rate(1.5e-4, 4096) == pytest.approx(2.4e-3)  # MAE


def test_warmup_cosine_equals_the_formula_everywhere():
    peak, minimum, warmup, total = 2e-3, 1e-6, 10, 60
    schedule = WarmupCosine(peak, total, warmup, minimum)
    steps = np.arange(81)
    falling = minimum + (peak - minimum) * 0.5 * (
        1 + np.cos(np.pi * np.clip((steps - warmup) / (total - warmup), 0, 1))
    )
    expected = np.where(steps < warmup, peak * steps / warmup, falling)
    rates = np.array([float(schedule(step)) for step in steps])
    np.testing.assert_allclose(rates, expected, rtol=1e-4, atol=1e-9)
    assert rates[0] == 0
    np.testing.assert_allclose(rates[warmup], peak, rtol=1e-6)
    np.testing.assert_allclose(rates[[total, 80]], minimum, rtol=1e-2)
    assert (np.diff(rates[warmup : total + 1]) < 0).all()


def test_seven_sixteenths_of_a_cosine_equal_the_formula_everywhere():
    peak, warmup, total = 0.03, 10, 60
    schedule = WarmupSevenSixteenths(peak, total, warmup)
    steps = np.arange(81)
    done = np.clip((steps - warmup) / (total - warmup), 0, 1)
    falling = peak * np.cos(7 * np.pi * done / 16)
    expected = np.where(steps < warmup, peak * steps / warmup, falling)
    rates = np.array([float(schedule(step)) for step in steps])
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-9)
    assert rates[0] == 0
    np.testing.assert_allclose(rates[warmup], peak, rtol=1e-6)
    # The cosine of 78.75 degrees.
    np.testing.assert_allclose(rates[[total, 80]], peak * 0.19509032, rtol=1e-5)
    plain = WarmupSevenSixteenths(peak, total)
    np.testing.assert_allclose(plain(30), peak * 0.77301045, rtol=1e-5)
    np.testing.assert_allclose(plain(0), peak, rtol=1e-6)


def test_no_warmup_starts_at_the_peak():
    assert float(WarmupCosine(0.5, 10)(0)) == 0.5


def test_warmup_longer_than_the_run_is_refused():
    with pytest.raises(ValueError, match="warmup_steps=11, total_steps=10"):
        WarmupCosine(1.0, 10, 11)


def test_momentum_rises_from_its_start_to_one():
    momentum = Cosine(0.996, 1.0, 100)
    np.testing.assert_allclose(
        [float(momentum(step)) for step in (0, 50, 100, 150)],
        [0.996, 0.998, 1.0, 1.0],
        rtol=1e-6,
    )
    assert float(momentum(100)) == 1.0


def test_cosine_equals_the_formula_everywhere():
    steps = np.arange(80)
    decay = Cosine(0.04, 0.4, 60)  # the weight decay of DINO
    left = 0.5 * (1 + np.cos(np.pi * np.minimum(steps / 60, 1)))
    found = [float(decay(step)) for step in steps]
    np.testing.assert_allclose(found, 0.4 - 0.36 * left, rtol=1e-6)
    np.testing.assert_allclose(
        [found[0], found[30], found[60]], [0.04, 0.22, 0.4], rtol=1e-6
    )


@pytest.mark.parametrize("epochs", [0, 1, 2, 30])
def test_a_ramp_takes_the_steps_of_linspace_and_stays(epochs):
    ramp = EpochRamp(0.04, 0.07, epochs, steps_per_epoch=7)
    expected = [*np.linspace(0.04, 0.07, epochs), *[0.07] * 3]
    found = [float(ramp(step)) for step in range(7 * len(expected))]
    np.testing.assert_allclose(found, np.repeat(expected, 7), rtol=1e-6)
    assert found[-1] == np.float32(0.07)


@pytest.mark.parametrize(
    "schedule",
    [
        Cosine(0.1, 0.4, 9),
        EpochRamp(1, 2, 3, 4),
        WarmupCosine(1, 9, 2),
        WarmupSevenSixteenths(1, 9, 2),
    ],
)
def test_schedules_are_rebuilt_from_their_configuration(schedule):
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(schedule)
    )
    found, expected = (
        [float(s(step)) for step in range(12)] for s in (again, schedule)
    )
    assert found == expected and len(set(found)) > 2
