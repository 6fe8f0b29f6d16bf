"""What a served model makes of logits: probabilities, and what follows from them."""

import dataclasses
import math
from collections.abc import Sequence

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How probabilities are made of logits, and which further outputs of them.

    Attributes:
        temperatures: Optional sequence of K floats, see `fit_temperatures`. The logits
            of an image are divided by that of its likeliest class.
        abstain_below: Optional float, see `choose_threshold`. Adds the output
            `abstain` `[B]`: whether the likeliest class is less probable than that.
        class_set_from: Optional float, see `least_probability`. Adds the output
            `class_set` `[B, K]`: which classes are as probable as that, or more.
    """

    temperatures: Sequence[float] | None = None
    abstain_below: float | None = None
    class_set_from: float | None = None

    def __post_init__(self):
        if self.temperatures is not None:
            plain = tuple(float(value) for value in self.temperatures)
            object.__setattr__(self, "temperatures", plain)

    def checked(self, classes):
        """Returns this, or refuses temperatures that are not of so many classes."""
        given = self.temperatures
        if given is None:
            return self
        positive = [math.isfinite(value) and value > 0 for value in given]
        if len(given) != classes or not all(positive):
            raise ValueError(
                f"`temperatures` should be {classes} positive numbers. "
                f"Received: {list(given)}"
            )
        return self

    def probabilities(self, logits):
        """Returns probabilities `[B, K]` of logits, float32."""
        if self.temperatures is not None:
            temperatures = tf.constant(self.temperatures, tf.float32)
            logits /= tf.gather(temperatures, tf.argmax(logits, axis=1))[:, None]
        return tf.nn.softmax(logits)

    def outputs(self, probabilities):
        """Returns a dict of the further outputs."""
        found = {}
        if self.abstain_below is not None:
            highest = tf.reduce_max(probabilities, axis=1)
            found["abstain"] = highest < self.abstain_below
        if self.class_set_from is not None:
            found["class_set"] = probabilities >= self.class_set_from
        return found
