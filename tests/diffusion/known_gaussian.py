"""Images that are normal numbers, whose noise and whose solution are known exactly."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class KnownGaussian:
    """A distribution N(mean, deviation²) of each value of an image.

    Counts in `calls` how often its noise was asked for.
    """

    schedule: object
    mean: float = 0.5
    deviation: float = 0.3
    calls: int = 0

    def spread(self, t):
        """Returns the deviation of noised images at time t."""
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        return np.sqrt((alpha * self.deviation) ** 2 + sigma**2)

    def predict_noise(self, x, t):
        """Returns the expected noise in x."""
        self.calls += 1
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        return float(sigma / self.spread(t) ** 2) * (x - float(alpha * self.mean))

    def solution(self, noise, t):
        """Returns where the equation takes noise of time 1 until time t."""
        start, stop = self.schedule.alpha(1.0), self.schedule.alpha(t)
        scaled = self.spread(t) / self.spread(1.0)
        return stop * self.mean + (noise - start * self.mean) * scaled
