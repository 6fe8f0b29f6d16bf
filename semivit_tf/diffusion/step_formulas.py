"""The steps of DPM-Solver and DPM-Solver++ between two times, orders 1 to 3.

Both integrate the same equation exactly but for one term, which a polynomial in the
half log-SNR stands in for: the predicted noise in DPM-Solver, the predicted image in
DPM-Solver++. Written with the letters below, their formulas are the same.

References:
    Lu et al., DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling
    in Around 10 Steps, 2022; DPM-Solver++: Fast Solver for Guided Sampling of Diffusion
    Probabilistic Models, 2022.
"""

import math

from semivit_tf.diffusion.predictions import clean_of_noise


class NoiseForm:
    """DPM-Solver: the predicted noise is approximated.

    Args:
        predict_noise: Function from noised images and a time to their noise.
        schedule: `NoiseSchedule`.
    """

    direction = 1.0

    def __init__(self, predict_noise, schedule):
        self.predict_noise = predict_noise
        self.schedule = schedule

    def predict(self, x, t):
        """Returns what is approximated, at one time."""
        return self.predict_noise(x, t)

    def kept(self, t):
        """Returns what the images are proportional to without the prediction."""
        return float(self.schedule.alpha(t))

    def driven(self, t):
        """Returns the factor of the prediction."""
        return float(self.schedule.sigma(t))

    def width(self, s, t):
        """Returns the step in half log-SNR, signed for the exponentials below."""
        return self.direction * self.between(s, t)

    def between(self, s, t):
        """Returns the step in half log-SNR, which is positive from noise to image."""
        return float(self.schedule.half_log_snr(t) - self.schedule.half_log_snr(s))


class DataForm(NoiseForm):
    """DPM-Solver++: the predicted image is approximated."""

    direction = -1.0

    def predict(self, x, t):
        alpha, sigma = float(self.schedule.alpha(t)), float(self.schedule.sigma(t))
        return clean_of_noise(x, self.predict_noise(x, t), alpha, sigma)

    def kept(self, t):
        return float(self.schedule.sigma(t))

    def driven(self, t):
        return float(self.schedule.alpha(t))


def first_order(form, x, s, t, slope):
    """Steps from time s to t with a prediction that is constant in between.

    Args:
        form: `NoiseForm` or `DataForm`.
        x: Array or tensor of images at time s.
        s: Float.
        t: Float, less than s.
        slope: The prediction to use.
    """
    ratio = form.kept(t) / form.kept(s)
    return ratio * x - form.driven(t) * math.expm1(form.width(s, t)) * slope


def second_order(form, x, s, t, middle):
    """Steps from s to t with a prediction at s and one at a time in between."""
    at_s = form.predict(x, s)
    inner = form.predict(first_order(form, x, s, middle, at_s), middle)
    ratio = form.between(s, middle) / form.between(s, t)
    return first_order(form, x, s, t, at_s + (0.5 / ratio) * (inner - at_s))


def third_order(form, x, s, t, middle1, middle2):
    """Steps from s to t with predictions at s and at two times in between.

    The order is 3 where the second of these lies at 2/3 of the step in half log-SNR,
    and 2 elsewhere.
    """
    at_s = form.predict(x, s)
    whole = form.between(s, t)
    ratio1, ratio2 = (form.between(s, m) / whole for m in (middle1, middle2))

    def curved(t, change):
        width = form.width(s, t)
        factor = form.driven(t) * (math.expm1(width) / width - 1)
        return first_order(form, x, s, t, at_s) - factor * change

    first = form.predict(first_order(form, x, s, middle1, at_s), middle1)
    second = form.predict(curved(middle2, (ratio2 / ratio1) * (first - at_s)), middle2)
    return curved(t, (1 / ratio2) * (second - at_s))
