"""A photograph and noise, to compare operations on."""

import functools

import numpy as np
from sklearn.datasets import load_sample_images


@functools.cache
def photograph(height=97, width=128):
    """Returns a part of a photograph, uint8 `[height, width, 3]`."""
    image = load_sample_images().images[0]
    return np.ascontiguousarray(image[100 : 100 + height, 200 : 200 + width])


@functools.cache
def noise(height=97, width=128):
    """Returns pixels drawn independently, uint8 `[height, width, 3]`."""
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (height, width, 3)).astype("uint8")


BOTH = {"photograph": photograph, "noise": noise}
