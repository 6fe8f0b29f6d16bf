"""Random erasing: a box of an image is replaced by noise.

Noise can exceed the range of a byte, so erasing comes last, on a whole batch of floats.
"""

import math

import numpy as np

from semivit_tf.augment.randomness import derive, normals, uniforms


class RandomErasing:
    """Fills a box with pixel noise of the given statistics.

    Published code fills boxes of normalised images with N(0, 1) noise. In pixels that
    is noise with the normalisation's mean and deviation; as there, it is not clipped.

    Args:
        probability: Float. Share of images with a box.
        mean: Floats in [0, 1], one per channel.
        std: Floats, one per channel.
        area: Tuple of the smallest and largest share of the image's area.
        aspect: Tuple of the smallest and largest height over width, drawn
            log-uniformly.
        tries: Integer. Boxes drawn until one fits; if none does, nothing is erased.

    Reference:
        Zhong et al., Random Erasing Data Augmentation, 2020.
    """

    def __init__(
        self,
        probability,
        mean,
        std,
        area=(0.02, 1 / 3),
        aspect=(0.3, 1 / 0.3),
        tries=10,
    ):
        self.probability = probability
        self.mean = np.float32(mean)
        self.std = np.float32(std)
        self.area = area
        self.aspect = aspect
        self.tries = tries

    def box(self, height, width, key):
        """Returns the box `(top, left, height, width)` to erase, or None."""
        draws = uniforms(key, 1 + 4 * self.tries)
        if draws[0] >= self.probability:
            return None
        low, high = (math.log(value) for value in self.aspect)
        for area, aspect, down, right in draws[1:].reshape(-1, 4):
            share = self.area[0] + area * (self.area[1] - self.area[0])
            root = math.exp(0.5 * (low + aspect * (high - low)))
            side = math.sqrt(share * height * width)
            rows, columns = round(side * root), round(side / root)
            if rows < height and columns < width:
                top = int(down * (height - rows + 1))
                left = int(right * (width - columns + 1))
                return top, left, rows, columns
        return None

    def __call__(self, images, keys):
        """Returns images `[N, H, W, C]` in float32, erased by their keys."""
        erased = images.astype("float32")
        for image, key in zip(erased, keys, strict=True):
            box = self.box(*image.shape[:2], key)
            if box:
                top, left, rows, columns = box
                shape = (rows, columns, image.shape[-1])
                noise = normals(derive(key, 1), math.prod(shape)).reshape(shape)
                noise = (noise * self.std + self.mean) * np.float32(255.0)
                image[top : top + rows, left : left + columns] = noise
        return erased
