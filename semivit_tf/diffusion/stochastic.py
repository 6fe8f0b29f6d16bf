"""Solvers that add noise on the way: the same start gives different images."""

import math

import numpy as np

from semivit_tf.diffusion.deterministic import even_in_half_log_snr
from semivit_tf.diffusion.predictions import clean_of_noise


def euler_maruyama(predict_noise, x, schedule, steps, end, draw):
    """Euler's method on the reverse stochastic equation, evenly spaced in time.

    The last step goes from `end` to 0 and adds no noise.

    Args:
        predict_noise: Function from noised images and a time to their noise.
        x: Array or tensor of noise.
        schedule: `NoiseSchedule`.
        steps: Integer. Number of evaluations.
        end: Float. The last time but 0.
        draw: Function without arguments to normal numbers of the shape of x.
    """
    times = [*np.linspace(1.0, end, steps).tolist(), 0.0]
    for s, t in zip(times[:-1], times[1:], strict=True):
        beta, width = float(schedule.beta(s)), s - t
        pull = predict_noise(x, s) * (1 / float(schedule.sigma(s)))
        x = x + (beta * width) * (0.5 * x - pull)
        if t > 0:
            x = x + math.sqrt(beta * width) * draw()
    return x


def ancestral(predict_noise, x, schedule, steps, end, draw):
    """DDIM with eta = 1: each step draws from the posterior of the predicted image.

    Reference:
        Song et al., Denoising Diffusion Implicit Models, 2021, equations 12 and 16.
    """
    times = even_in_half_log_snr(schedule, steps, end)
    for s, t in zip(times[:-1], times[1:], strict=True):
        (alpha, sigma), (next_alpha, next_sigma) = (
            (float(schedule.alpha(time)), float(schedule.sigma(time)))
            for time in (s, t)
        )
        noise = predict_noise(x, s)
        clean = clean_of_noise(x, noise, alpha, sigma)
        fresh = next_sigma / sigma * math.sqrt(1 - (alpha / next_alpha) ** 2)
        kept = math.sqrt(next_sigma**2 - fresh**2)
        x = next_alpha * clean + kept * noise + fresh * draw()
    return x
