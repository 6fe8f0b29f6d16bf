"""Schedules against their published values, and against their own inverses."""

import keras
import numpy as np
import pytest

from semivit_tf.diffusion import DiscreteSchedule, LinearSchedule
from semivit_tf.diffusion.predictions import noised

# t, alpha², sigma², half log-SNR of the linear schedule.
LINEAR = [
    (1e-4, 0.999989901, 1.0099449e-5, 5.7515098),
    (1e-3, 0.999890056, 1.0994396e-4, 4.5577149),
    (0.25, 0.523679722, 0.476320278, 0.0473949),
    (0.5, 0.079063812, 0.920936188, -1.2275677),
    (0.75, 0.003441407, 0.996558593, -2.8342138),
    (1.0, 4.3185749e-5, 0.999956814, -5.0249784),
]
SCHEDULES = pytest.mark.parametrize(
    "schedule", [LinearSchedule(), DiscreteSchedule()], ids=["linear", "discrete"]
)


@pytest.mark.parametrize("t, signal, noise, half_log_snr", LINEAR)
def test_the_linear_schedule_has_the_published_values(t, signal, noise, half_log_snr):
    schedule = LinearSchedule()
    # The numbers are given to so many digits.
    np.testing.assert_allclose(np.exp(2 * schedule.log_alpha(t)), signal, rtol=1e-6)
    np.testing.assert_allclose(schedule.sigma(t) ** 2, noise, rtol=1e-6)
    np.testing.assert_allclose(schedule.half_log_snr(t), half_log_snr, rtol=1e-6)


def test_the_discrete_schedule_has_the_published_values():
    schedule = DiscreteSchedule()
    signal = np.exp(2 * schedule.log_alpha(np.array([0.001, 0.5, 1.0])))
    np.testing.assert_allclose(signal, [0.99915, 0.27766965, 0.004660098], rtol=1e-6)
    # Between steps the logarithm is linear.
    halfway = schedule.log_alpha(0.5005)
    ends = schedule.log_alpha([0.5, 0.501])
    np.testing.assert_allclose(halfway, ends.mean(), rtol=1e-12)
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    table = 0.5 * np.log(np.cumprod(1 - betas))
    np.testing.assert_allclose(
        schedule.log_alpha(np.arange(1, 1001) / 1000), table, rtol=1e-9
    )


@pytest.mark.parametrize(
    "schedule, ratio", [(LinearSchedule(), 4.3188e-5), (DiscreteSchedule(), 4.6819e-3)]
)
def test_some_signal_is_left_at_the_end(schedule, ratio):
    np.testing.assert_allclose(np.exp(2 * schedule.half_log_snr(1.0)), ratio, rtol=2e-5)


@SCHEDULES
def test_times_follow_from_the_ratio_and_the_ratio_falls(schedule):
    times = np.linspace(1e-4, 1, 1234)
    ratios = schedule.half_log_snr(times)
    assert ratios.dtype == "float64" and (np.diff(ratios) < 0).all()
    np.testing.assert_allclose(schedule.time_of(ratios), times, rtol=0, atol=1e-12)
    squares = np.exp(2 * schedule.log_alpha(times)) + schedule.sigma(times) ** 2
    np.testing.assert_allclose(squares, 1.0, rtol=1e-14)
    np.testing.assert_allclose(
        ratios, np.log(schedule.alpha(times) / schedule.sigma(times)), rtol=1e-9
    )


@SCHEDULES
def test_beta_is_the_slope_of_log_alpha(schedule):
    times = np.array([0.00025, 0.1235, 0.5, 0.9995])
    width = 1e-6
    ends = schedule.log_alpha(times - width), schedule.log_alpha(times)
    slope = -2 * (ends[1] - ends[0]) / width
    np.testing.assert_allclose(schedule.beta(times), slope, rtol=1e-3)


def test_networks_know_the_time_by_a_number_up_to_a_thousand():
    assert LinearSchedule().network_time(1.0) == 999.0
    assert DiscreteSchedule().network_time(0.0325) == 32.5
    assert DiscreteSchedule(steps=100).network_time(1.0) == 100.0


@SCHEDULES
def test_training_draws_all_times_and_gets_the_same_numbers(schedule):
    times = np.asarray(schedule.draw(4000, seed=0))
    assert 0 <= times.min() < 0.002 and 0.998 < times.max() <= 1
    # A uniform mean of 4,000 has a deviation of 0.0046.
    np.testing.assert_allclose(times.mean(), 0.5, atol=0.02)
    between = np.random.default_rng(0).uniform(1e-3, 1, 1000).astype("float32")
    exact = np.concatenate([times, between]).astype("float64")
    found = schedule.coefficients(exact.astype("float32"))
    alpha, sigma = map(np.asarray, found)
    np.testing.assert_allclose(alpha, schedule.alpha(exact), rtol=2e-5)
    np.testing.assert_allclose(sigma, schedule.sigma(exact), rtol=2e-5)
    if isinstance(schedule, DiscreteSchedule):
        steps = times * 1000
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
        assert steps.min() >= 0.999


@SCHEDULES
def test_a_noised_image_has_the_mean_and_deviation_it_should_have(schedule):
    clean = np.full((4, 64, 64, 1), 0.7)
    noise = np.random.default_rng(0).normal(size=clean.shape)
    for t in (0.05, 0.3, 0.9):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        images = noised(clean, noise, alpha, sigma)
        error = sigma / clean.size**0.5  # of the mean; 0.71 of it for the deviation
        np.testing.assert_allclose(images.mean(), 0.7 * alpha, atol=4 * error)
        np.testing.assert_allclose(images.std(), sigma, atol=4 * 0.71 * error)


@SCHEDULES
def test_schedules_are_rebuilt_from_their_configuration(schedule):
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert again == schedule and hash(again) == hash(schedule)
    assert LinearSchedule(beta_end=10.0) != LinearSchedule() != DiscreteSchedule()


def test_schedules_that_would_not_lose_the_image_are_refused():
    with pytest.raises(ValueError, match="`beta_start` should be positive"):
        LinearSchedule(20.0, 0.1)
    with pytest.raises(ValueError, match="`steps` should be at least 2"):
        DiscreteSchedule(steps=1)
