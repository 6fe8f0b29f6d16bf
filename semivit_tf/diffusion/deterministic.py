"""Solvers of the ordinary equation: the same noise always gives the same image."""

import numpy as np

from semivit_tf.diffusion.step_formulas import (
    DataForm,
    NoiseForm,
    first_order,
    second_order,
    third_order,
)


def even_in_half_log_snr(schedule, steps, end):
    """Returns `steps + 1` times from 1 to `end`, evenly spaced in half log-SNR."""
    first, last = schedule.half_log_snr(1.0), schedule.half_log_snr(end)
    times = schedule.time_of(np.linspace(first, last, steps + 1))
    times[0], times[-1] = 1.0, end
    return times.tolist()


def fast_orders(evaluations):
    """Returns the orders of the steps that use so many evaluations.

    They are threes, and then what is left: 2 and 1, 1, or 2.
    """
    threes, rest = divmod(evaluations, 3)
    if rest:
        return [3] * threes + [rest]
    return [3] * (threes - 1) + [2, 1]


def _step(form, x, s, t, inner):
    if not inner:
        return first_order(form, x, s, t, form.predict(x, s))
    return (second_order, third_order)[len(inner) - 1](form, x, s, t, *inner)


def single_steps(form, x, steps, end, order):
    """Makes steps of one order, evenly spaced in half log-SNR.

    Args:
        form: `NoiseForm` or `DataForm`.
        x: Array or tensor of noise.
        steps: Integer. Each step has `order` evaluations.
        end: Float. The last time.
        order: 1, 2 or 3.
    """
    # Points of a finer grid lie at 1/2, or 1/3 and 2/3, of each step.
    times = even_in_half_log_snr(form.schedule, order * steps, end)
    return _spanning(form, x, times, [order] * steps)


def _spanning(form, x, times, orders):
    """Makes steps that each span as many intervals of a grid as their order says."""
    start = 0
    for order in orders:
        s, *inner, t = times[start : start + order + 1]
        x = _step(form, x, s, t, inner)
        start += order
    return x


def fast_noise_steps(form, x, evaluations, end):
    """DPM-Solver "fast": steps of mixed orders, evenly spaced in half log-SNR."""
    orders = fast_orders(evaluations)
    times = even_in_half_log_snr(form.schedule, len(orders), end)
    for order, s, t in zip(orders, times[:-1], times[1:], strict=True):
        start, width = form.schedule.half_log_snr(s), form.between(s, t)
        inner = [start + part * width / order for part in range(1, order)]
        x = _step(form, x, s, t, [float(form.schedule.time_of(p)) for p in inner])
    return x


def fast_data_steps(form, x, evaluations, end):
    """DPM-Solver++ "fast": the same orders, on a grid that is evenly spaced in time."""
    times = np.linspace(1.0, end, evaluations + 1).tolist()
    return _spanning(form, x, times, fast_orders(evaluations))


def two_step_data(form, x, steps, end):
    """DPM-Solver++ 2M: each step also uses the prediction of the step before."""
    times = even_in_half_log_snr(form.schedule, steps, end)
    before = width_before = None
    for s, t in zip(times[:-1], times[1:], strict=True):
        prediction, width = form.predict(x, s), form.between(s, t)
        slope = prediction
        if before is not None:
            slope = prediction + (0.5 * width / width_before) * (prediction - before)
        x = first_order(form, x, s, t, slope)
        before, width_before = prediction, width
    return x


def edm_noise_levels(steps, highest=80.0, lowest=0.002, rho=7.0):
    """Returns levels that are evenly spaced in their 1/rho-th power, then 0.

    Reference:
        Karras et al., Elucidating the Design Space of Diffusion-Based Generative
        Models, 2022, equation 5.
    """
    roots = np.linspace(highest ** (1 / rho), lowest ** (1 / rho), steps)
    return np.append(roots**rho, 0.0)


def heun_steps(predict_noise, x, schedule, steps, end):
    """Heun's method on EDM's grid of noise levels sigma / alpha, down to none.

    The equation for x / alpha is d(x / alpha) = noise d(sigma / alpha). The last step,
    to level 0, is Euler's, so there are 2 * steps - 1 evaluations.
    """
    levels = edm_noise_levels(
        steps, *(float(np.exp(-schedule.half_log_snr(t))) for t in (1.0, end))
    )
    times = [1.0, *schedule.time_of(-np.log(levels[1:-1])).tolist()]
    x = x * (1 / float(schedule.alpha(1.0)))
    for number, s in enumerate(times):
        change = float(levels[number + 1] - levels[number])
        slope = predict_noise(x * float(schedule.alpha(s)), s)
        ahead = x + change * slope
        if number + 1 < len(times):
            t = times[number + 1]
            last = predict_noise(ahead * float(schedule.alpha(t)), t)
            ahead = x + (0.5 * change) * (slope + last)
        x = ahead
    return x


def noise_form(solver):
    """Returns a solver of `solve` that works in the noise form."""
    return lambda predict_noise, x, schedule, steps, end: solver(
        NoiseForm(predict_noise, schedule), x, steps, end
    )


def data_form(solver):
    """Returns a solver of `solve` that works in the data form."""
    return lambda predict_noise, x, schedule, steps, end: solver(
        DataForm(predict_noise, schedule), x, steps, end
    )
