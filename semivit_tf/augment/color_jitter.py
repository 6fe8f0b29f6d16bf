"""How do the colours of a weak view vary?"""

import numpy as np

from semivit_tf.augment import tone
from semivit_tf.augment.randomness import uniforms

_CHANGES = (tone.brightness, tone.contrast, tone.saturation)


class ColorJitter:
    """Changes brightness, contrast and saturation, in an order that is drawn too.

    Args:
        strength: Float. Each factor is drawn from [1 - strength, 1 + strength].
    """

    def __init__(self, strength=0.4):
        self.strength = strength

    def __call__(self, image, key):
        draws = uniforms(key, 6)
        lowest = max(0.0, 1.0 - self.strength)
        factors = lowest + draws[:3] * (1.0 + self.strength - lowest)
        for place in np.argsort(draws[3:]):
            image = _CHANGES[place](image, factors[place])
        return image
