"""Small networks and known distributions for the tests of diffusion."""

import numpy as np

from semivit_tf.diffusion import UViT


def small_u_vit(**options):
    """A U-ViT for 8x8 grey images and 3 classes, or none, with about 10,000 weights."""
    sizes = {"image_size": 8, "patch_size": 4, "width": 16, "depth": 2, "heads": 2}
    return UViT(**{**sizes, "channels": 1, "num_classes": 4, **options})


def noised_batch(count=4, seed=0):
    """Images, times and labels as a network gets them."""
    generator = np.random.default_rng(seed)
    images = generator.normal(size=(count, 8, 8, 1)).astype("float32")
    times = generator.uniform(0, 999, count).astype("float32")
    return images, times, (np.arange(count) % 3).astype("int32")
