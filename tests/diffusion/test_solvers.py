"""Solvers against the exact solution for images whose distribution is known."""

import keras
import numpy as np
import pytest

from semivit_tf.diffusion import SOLVERS, DiscreteSchedule, LinearSchedule, solve
from semivit_tf.diffusion.deterministic import edm_noise_levels, fast_orders
from semivit_tf.diffusion.step_formulas import (
    DataForm,
    NoiseForm,
    second_order,
    third_order,
)
from tests.diffusion.known_gaussian import KnownGaussian

# Root mean square errors after 10, 20, 40 and 80 steps from time 1 to 1e-3.
ERRORS = {
    "ddim": (6.40e-2, 3.39e-2, 1.75e-2, 8.86e-3),
    "dpm_solver_2": (2.01e-2, 4.66e-3, 1.12e-3, 2.75e-4),
    "dpm_solver_3": (5.97e-4, 5.60e-5, 5.91e-6, 6.71e-7),
    "dpm_solver_pp_1": (6.40e-2, 3.39e-2, 1.75e-2, 8.86e-3),
    "dpm_solver_pp_2": (1.40e-2, 3.92e-3, 1.03e-3, 2.64e-4),
    "dpm_solver_pp_3": (7.1e-5, 2.2e-5, 3.7e-6, 5.3e-7),
    "dpm_solver_pp_2m": (8.56e-3, 3.86e-3, 1.05e-3, 2.66e-4),
}


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).standard_normal(200_000)


def error(found, expected):
    return np.sqrt(np.mean((found - expected) ** 2))


@pytest.mark.parametrize("solver", ERRORS)
def test_errors_are_those_of_the_table_and_fall_with_the_order(solver, noise):
    order = int(solver.replace("ddim", "1").replace("2m", "1").rpartition("_")[2])
    for steps, expected in zip((10, 20, 40, 80), ERRORS[solver], strict=True):
        known = KnownGaussian(LinearSchedule())
        found = solve(known.predict_noise, noise, known.schedule, solver, steps)
        assert known.calls == order * steps
        rmse = error(found, known.solution(noise, 1e-3))
        np.testing.assert_allclose(rmse, expected, rtol=0.1)


def test_first_order_is_ddim_in_both_forms(noise):
    known = KnownGaussian(LinearSchedule())
    start = noise[:100]
    one, other = (
        solve(known.predict_noise, start, known.schedule, solver, 7)
        for solver in ("ddim", "dpm_solver_pp_1")
    )
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    # DDIM as it is usually written: the image of a time, then noise of the next.
    times = known.schedule.time_of(
        np.linspace(*known.schedule.half_log_snr(np.array([1.0, 1e-3])), 8)
    )
    x = start
    for s, t in zip(times[:-1], times[1:], strict=True):
        predicted = known.predict_noise(x, s)
        clean = (x - known.schedule.sigma(s) * predicted) / known.schedule.alpha(s)
        x = known.schedule.alpha(t) * clean + known.schedule.sigma(t) * predicted
    np.testing.assert_allclose(one, x, rtol=0, atol=1e-12)


def test_ddim_returns_the_image_when_the_noise_is_true():
    clean, noise = np.array([0.2, -0.9]), np.array([1.5, 0.3])
    schedule = LinearSchedule()
    start = schedule.alpha(1.0) * clean + schedule.sigma(1.0) * noise
    found = solve(lambda x, t: noise, start, schedule, "ddim", 3, end=1e-3)
    expected = schedule.alpha(1e-3) * clean + schedule.sigma(1e-3) * noise
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_fast_steps_are_of_order_three_but_for_the_rest():
    assert fast_orders(50) == [3] * 16 + [2]
    assert fast_orders(9) == [3, 3, 2, 1]
    assert fast_orders(10) == [3, 3, 3, 1]
    assert fast_orders(3) == [2, 1]
    assert all(sum(fast_orders(count)) == count for count in range(3, 60))


def test_fast_with_fifty_evaluations(noise):
    known = KnownGaussian(LinearSchedule())
    found = solve(
        known.predict_noise, noise, known.schedule, "dpm_solver_fast", 50, end=1e-4
    )
    assert known.calls == 50
    np.testing.assert_allclose(
        error(found, known.solution(noise, 1e-4)), 1.4e-4, rtol=0.1
    )
    np.testing.assert_allclose(found.mean(), 0.499, atol=2e-3)
    np.testing.assert_allclose(found.std(), 0.3005, atol=1e-3)


@pytest.mark.parametrize("solver", ["dpm_solver_pp_fast", "edm_heun"])
@pytest.mark.parametrize("schedule", [LinearSchedule(), DiscreteSchedule()])
def test_the_other_grids_converge_to_the_exact_solution(solver, schedule, noise):
    start, errors = noise[:2000], []
    for steps in (15, 60):
        known = KnownGaussian(schedule)
        found = solve(known.predict_noise, start, schedule, solver, steps)
        assert known.calls == (steps if solver.endswith("fast") else 2 * steps - 1)
        last = 1e-3 if solver.endswith("fast") else 0.0
        errors.append(error(found, known.solution(start, last)))
    # Even times leave wide last steps in half log-SNR, one of which is of order 1.
    assert errors[1] < errors[0] / 4
    assert errors[1] < (2e-2 if solver.endswith("fast") else 2e-3)


@pytest.mark.parametrize("form", [NoiseForm, DataForm])
@pytest.mark.parametrize(
    "inner, order", [((0.3,), 2), ((0.2, 2 / 3), 3), ((0.2, 0.8), 2)]
)
def test_the_order_of_a_step_depends_on_where_its_last_inner_time_lies(
    form, inner, order
):
    """Half as wide a step makes 2 ** (order + 1) times less of an error."""
    known = KnownGaussian(LinearSchedule())
    schedule = known.schedule
    form = form(known.predict_noise, schedule)
    noise = np.array([-1.5, 0.4, 2.0])
    errors = []
    for width in (0.04, 0.02):
        s, *middle, t = (
            float(schedule.time_of(part * width)) for part in (0.0, *inner, 1.0)
        )
        step = second_order if len(middle) == 1 else third_order
        found = step(form, known.solution(noise, s), s, t, *middle)
        errors.append(error(found, known.solution(noise, t)))
    np.testing.assert_allclose(errors[0] / errors[1], 2 ** (order + 1), rtol=0.1)


def test_the_noise_levels_of_edm():
    """Eighteen levels from 80 to 0.002, by the published formula; then none."""
    levels = edm_noise_levels(18)
    expected = [
        (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
        for i in range(18)
    ]
    assert len(levels) == 19 and levels[-1] == 0
    np.testing.assert_allclose(levels[:-1], expected, rtol=1e-9)
    np.testing.assert_allclose(levels[[0, 17]], [80, 0.002], rtol=1e-9)


@pytest.mark.parametrize(
    "steps, mean, deviation",
    [(50, 0.504, 0.307), (200, 0.502, 0.3016), (1000, 0.500, 0.2995)],
)
def test_euler_maruyama_draws_the_distribution(steps, mean, deviation, noise):
    known = KnownGaussian(LinearSchedule())
    start = noise[:100_000]  # errors of mean and deviation: 0.001 and 0.0007
    found = solve(known.predict_noise, start, known.schedule, "euler_maruyama", steps)
    assert known.calls == steps
    np.testing.assert_allclose(found.mean(), mean, atol=3e-3)
    np.testing.assert_allclose(found.std(), deviation, atol=2e-3)


def test_ancestral_draws_the_distribution_and_uses_the_draws_it_gets(noise):
    known = KnownGaussian(LinearSchedule())
    options = (noise[:50_000], known.schedule, "ancestral")
    for steps, tolerance in ((100, 0.02), (400, 0.005)):  # of first order
        found = solve(known.predict_noise, *options, steps)
        np.testing.assert_allclose(found.mean(), 0.5, atol=5e-3)
        np.testing.assert_allclose(found.std(), 0.3, atol=tolerance)
    # Without draws each step contracts too much.
    quiet = solve(known.predict_noise, *options, steps=100, draw=lambda: 0.0)
    assert quiet.std() < 0.05


@pytest.mark.parametrize("solver", SOLVERS)
def test_tensors_of_any_shape_keep_their_type(solver):
    known = KnownGaussian(DiscreteSchedule())
    start = np.random.default_rng(0).normal(size=(2, 3, 1, 4)).astype("float32")
    arrays = solve(known.predict_noise, start, known.schedule, solver, 5)
    tensors = solve(
        known.predict_noise,
        keras.ops.convert_to_tensor(start),
        known.schedule,
        solver,
        5,
    )
    assert arrays.shape == tensors.shape == start.shape
    assert keras.backend.standardize_dtype(tensors.dtype) == "float32"
    assert arrays.dtype == "float32"
    np.testing.assert_allclose(tensors, arrays, rtol=1e-5, atol=1e-5)
    again = solve(known.predict_noise, start, known.schedule, solver, 5)
    np.testing.assert_array_equal(again, arrays)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"solver": "euler"}, "`solver` should be one of: ddim"),
        ({"steps": 0}, "`steps` should be at least 1"),
        ({"steps": 2, "solver": "dpm_solver_fast"}, "`steps` should be at least 3"),
        ({"end": 0.0}, "`end` should be in"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        solve(lambda x, t: x, np.zeros(1), LinearSchedule(), **options)
