"""How much of an image is left at each time: signal, noise and their ratio.

A noised image is x_t = alpha_t x_0 + sigma_t noise, with alpha_t² + sigma_t² = 1 and t
from 0, the image, to 1, nearly pure noise. Solvers count in half log-SNRs,
lambda_t = log(alpha_t / sigma_t), which fall as t grows.
"""

import keras
import numpy as np
from keras import ops


class NoiseSchedule:
    """What all schedules share: everything follows from `log_alpha`.

    Functions of a time compute in float64 outside of the graph. `draw` and
    `coefficients` are for training steps.
    """

    time_scale = 1.0

    def log_alpha(self, t):
        """Returns log(alpha_t), float64, of a number or an array."""
        raise NotImplementedError

    def alpha(self, t):
        """Returns alpha_t, the share of the image."""
        return np.exp(self.log_alpha(t))

    def sigma(self, t):
        """Returns sigma_t, the deviation of the noise."""
        return np.sqrt(-np.expm1(2 * self.log_alpha(t)))

    def half_log_snr(self, t):
        """Returns log(alpha_t / sigma_t)."""
        log_alpha = self.log_alpha(t)
        return log_alpha - 0.5 * np.log(-np.expm1(2 * log_alpha))

    def time_of(self, half_log_snr):
        """Returns the time at which the half log-SNR is the one given."""
        raise NotImplementedError

    def beta(self, t):
        """Returns -2 d log(alpha_t) / dt, the rate at which noise is added."""
        raise NotImplementedError

    def network_time(self, t):
        """Returns the number by which a network knows the time, up to 1000."""
        return self.time_scale * t

    def draw(self, count, seed):
        """Draws times in a graph: a float32 tensor `[count]`."""
        raise NotImplementedError

    def coefficients(self, times):
        """Returns alpha and sigma, float32, of a float32 tensor of times."""
        raise NotImplementedError

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self), *self.get_config().values()))


def _alpha_sigma(log_alpha):
    return ops.exp(log_alpha), ops.sqrt(-ops.expm1(2 * log_alpha))


@keras.saving.register_keras_serializable(package="semivit_tf")
class LinearSchedule(NoiseSchedule):
    """Continuous time; noise is added at a rate that grows linearly.

    Args:
        beta_start: Float. The rate at time 0.
        beta_end: Float. The rate at time 1.

    Reference:
        Song et al., Score-Based Generative Modeling through Stochastic Differential
        Equations, 2021.
    """

    time_scale = 999.0

    def __init__(self, beta_start: float = 0.1, beta_end: float = 20.0):
        if not 0 < beta_start < beta_end:
            raise ValueError(
                "`beta_start` should be positive and less than `beta_end`. "
                f"Received: beta_start={beta_start}, beta_end={beta_end}"
            )
        self.beta_start = beta_start
        self.beta_end = beta_end

    def log_alpha(self, t):
        t = np.asarray(t, "float64")
        rise = self.beta_end - self.beta_start
        return -0.25 * t**2 * rise - 0.5 * t * self.beta_start

    def time_of(self, half_log_snr):
        half_log_snr = np.asarray(half_log_snr, "float64")
        rise = self.beta_end - self.beta_start
        scaled = 2 * rise * np.logaddexp(-2 * half_log_snr, 0)
        root = np.sqrt(self.beta_start**2 + scaled)
        return scaled / ((root + self.beta_start) * rise)

    def beta(self, t):
        t = np.asarray(t, "float64")
        return self.beta_start + t * (self.beta_end - self.beta_start)

    def draw(self, count, seed):
        return keras.random.uniform((count,), seed=seed)

    def coefficients(self, times):
        rise = self.beta_end - self.beta_start
        log_alpha = -times * (0.25 * rise * times + 0.5 * self.beta_start)
        return _alpha_sigma(log_alpha)

    def get_config(self):
        return {"beta_start": self.beta_start, "beta_end": self.beta_end}


@keras.saving.register_keras_serializable(package="semivit_tf")
class DiscreteSchedule(NoiseSchedule):
    """A thousand steps of noise, that of latent diffusion; between them, log-linear.

    Step n is the time n / steps. Training draws steps; solvers use times between them,
    too.

    Args:
        steps: Integer. Number of steps.
        beta_start: Float. Variance that the first step adds.
        beta_end: Float. Variance that the last step adds; in between, its root is
            linear.

    Reference:
        Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models,
        2022.
    """

    def __init__(
        self, steps: int = 1000, beta_start: float = 0.00085, beta_end: float = 0.012
    ):
        if steps < 2 or not 0 < beta_start < beta_end < 1:
            raise ValueError(
                "`steps` should be at least 2, and 0 < `beta_start` < `beta_end` < 1. "
                f"Received: steps={steps}, beta_start={beta_start}, "
                f"beta_end={beta_end}"
            )
        self.steps = steps
        self.beta_start = beta_start
        self.beta_end = beta_end
        self.time_scale = float(steps)
        betas = np.linspace(beta_start**0.5, beta_end**0.5, steps) ** 2
        # At time 0 there is no noise.
        self._log_alphas = np.append(0.0, 0.5 * np.cumsum(np.log1p(-betas)))
        self._times = np.arange(steps + 1) / steps

    def log_alpha(self, t):
        return np.interp(np.asarray(t, "float64"), self._times, self._log_alphas)

    def time_of(self, half_log_snr):
        log_alpha = -0.5 * np.logaddexp(-2 * np.asarray(half_log_snr, "float64"), 0)
        return np.interp(log_alpha, self._log_alphas[::-1], self._times[::-1])

    def beta(self, t):
        step = np.ceil(np.asarray(t, "float64") * self.steps).astype(int)
        step = np.clip(step, 1, self.steps)
        before, after = self._log_alphas[step - 1], self._log_alphas[step]
        return 2 * (before - after) * self.steps

    def draw(self, count, seed):
        step = keras.random.randint((count,), 1, self.steps + 1, seed=seed)
        return ops.cast(step, "float32") / self.steps

    def coefficients(self, times):
        position = times * self.steps
        below = ops.clip(ops.floor(position), 0, self.steps - 1)
        table = ops.convert_to_tensor(self._log_alphas, "float32")
        first, second = (
            ops.take(table, ops.cast(below, "int32") + next) for next in (0, 1)
        )
        log_alpha = first + (position - below) * (second - first)
        return _alpha_sigma(log_alpha)

    def get_config(self):
        names = "steps beta_start beta_end"
        return {name: getattr(self, name) for name in names.split()}
