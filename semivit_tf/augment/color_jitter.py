"""Random changes of the colours of a view."""

import numpy as np

from semivit_tf.augment import tone
from semivit_tf.augment.hue import turn_hue
from semivit_tf.augment.randomness import uniforms

_CHANGES = (tone.brightness, tone.contrast, tone.saturation, turn_hue)


class ColorJitter:
    """Changes brightness, contrast, saturation and hue, in random order.

    Args:
        strength: Float. The factors of brightness and contrast are drawn from
            [1 - strength, 1 + strength].
        saturation: Optional float, likewise. Defaults to `strength`.
        hue: Float in [0, 0.5]. Colours turn by up to this share of the circle; 0 leaves
            the hue as it is.
    """

    def __init__(self, strength=0.4, saturation=None, hue=0.0):
        self.strength = strength
        self.saturation = strength if saturation is None else saturation
        self.hue = hue

    def __call__(self, image, key):
        draws = uniforms(key, 8)
        strengths = np.array([self.strength, self.strength, self.saturation])
        lowest = np.maximum(0.0, 1.0 - strengths)
        factors = lowest + draws[:3] * (1.0 + strengths - lowest)
        amounts = [*factors, self.hue * (2.0 * draws[6] - 1.0)]
        order = [*draws[3:6], draws[7]]
        for place in np.argsort(order if self.hue else order[:3]):
            image = _CHANGES[place](image, amounts[place])
        return image
