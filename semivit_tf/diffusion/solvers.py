"""From noise to images by the solver of a name."""

import functools
from collections.abc import Callable

import keras
import numpy as np

from semivit_tf.contracts import Tensor
from semivit_tf.diffusion.deterministic import (
    data_form,
    fast_data_steps,
    fast_noise_steps,
    heun_steps,
    noise_form,
    single_steps,
    two_step_data,
)
from semivit_tf.diffusion.schedules import NoiseSchedule
from semivit_tf.diffusion.stochastic import ancestral, euler_maruyama


def _order(order):
    return functools.partial(single_steps, order=order)


# Functions `(predict_noise, noise, schedule, steps, end)`; the stochastic ones also get
# `draw`.
DETERMINISTIC = {
    "ddim": noise_form(_order(1)),
    "dpm_solver_2": noise_form(_order(2)),
    "dpm_solver_3": noise_form(_order(3)),
    "dpm_solver_fast": noise_form(fast_noise_steps),
    "dpm_solver_pp_1": data_form(_order(1)),
    "dpm_solver_pp_2": data_form(_order(2)),
    "dpm_solver_pp_3": data_form(_order(3)),
    "dpm_solver_pp_fast": data_form(fast_data_steps),
    "dpm_solver_pp_2m": data_form(two_step_data),
    "edm_heun": heun_steps,
}
STOCHASTIC = {"ancestral": ancestral, "euler_maruyama": euler_maruyama}
SOLVERS = (*DETERMINISTIC, *STOCHASTIC)


def solve(
    predict_noise: Callable,
    noise: Tensor,
    schedule: NoiseSchedule,
    solver: str = "dpm_solver_pp_2m",
    steps: int = 20,
    end: float = 1e-3,
    draw: Callable | None = None,
) -> Tensor:
    """Solves the equation of diffusion from time 1 to (nearly) 0.

    All numbers of the schedule are computed in float64 outside of the graph; images
    keep the type that they have.

    Args:
        predict_noise: Function from `(x, t)`, an array or tensor like `noise` and a
            float in [0, 1], to the noise in x.
        noise: Array or tensor of normal numbers, of any shape.
        schedule: `LinearSchedule()` or `DiscreteSchedule()`.
        solver: Name, see `SOLVERS`. `"ddim"`, `"dpm_solver_2"`, `"dpm_solver_3"` and
            `"dpm_solver_pp_1"` to `"dpm_solver_pp_3"` make steps of one order;
            `"..._fast"` mixes orders; `"dpm_solver_pp_2m"` remembers a step;
            `"edm_heun"`, `"euler_maruyama"` and `"ancestral"` are one method each.
        steps: Integer. Number of steps. One of order k has k evaluations of
            `predict_noise`, one of Heun's two. With `"..._fast"` it is the number of
            evaluations instead.
        end: Float in (0, 1). Time of the last evaluation, or, where images are not
            cleaned completely, of the result.
        draw: Function without arguments to normal numbers of the shape of `noise`, for
            `"euler_maruyama"` and `"ancestral"`. Defaults to NumPy's from seed 0.

    Returns:
        Images, an array or tensor like `noise`.
    """
    if solver not in SOLVERS:
        raise ValueError(
            f"`solver` should be one of: {', '.join(SOLVERS)}. "
            f"Received: solver={solver!r}"
        )
    least = 3 if solver.endswith("_fast") or solver == "edm_heun" else 1
    if steps < least:
        raise ValueError(
            f"`steps` should be at least {least} for {solver}. Received: steps={steps}"
        )
    if not 0 < end < 1:
        raise ValueError(f"`end` should be in (0, 1). Received: end={end}")
    if solver in DETERMINISTIC:
        return DETERMINISTIC[solver](predict_noise, noise, schedule, steps, end)
    if draw is None:
        generator = np.random.default_rng(0)

        def draw():
            numbers = generator.standard_normal(noise.shape)
            return numbers.astype(keras.backend.standardize_dtype(noise.dtype))

    return STOCHASTIC[solver](predict_noise, noise, schedule, steps, end, draw)
