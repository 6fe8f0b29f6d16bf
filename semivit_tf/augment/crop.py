"""Framings: which box of an image a view shows.

A framing turns an image of any size into one of its own size. It chooses the box from
the image's size alone, so that no more of a file than that box has to be decoded.
"""

import math

from semivit_tf.augment.randomness import derive, uniforms
from semivit_tf.augment.resize import resize


def _centred(height, width, box_height, box_width):
    top, left = (height - box_height) // 2, (width - box_width) // 2
    return top, left, box_height, box_width


class CentralCrop:
    """Shows the largest central box of the wanted aspect.

    Args:
        size: Tuple `(H, W)` of the result.
    """

    def __init__(self, size):
        self.size = tuple(size)

    def box(self, height, width, key):
        """Returns `(top, left, height, width)` in an image of this height and width."""
        rows, columns = self.size
        # Integers keep the wanted aspect up to one pixel.
        box_height = max(1, min(height, width * rows // columns))
        box_width = max(1, min(width, height * columns // rows))
        return _centred(height, width, box_height, box_width)

    def cut(self, image, box, key):
        """Returns the box of an image, resized."""
        return resize(image, box, self.size)


class RandomResizedCrop(CentralCrop):
    """Shows a box of random area, aspect and place, and mirrors some of the images.

    Boxes are drawn until one fits; if none does, the box is a central one of the
    nearest allowed aspect.

    Args:
        size: Tuple `(H, W)` of the result.
        area: Tuple of the smallest and largest share of the image's area.
        aspect: Tuple of the smallest and largest width over height, drawn
            log-uniformly.
        tries: Integer. The largest number of boxes drawn.
        mirrored: Float. The share of images that are mirrored.

    Reference:
        Szegedy et al., Going Deeper with Convolutions, 2015.
    """

    def __init__(
        self, size, area=(0.08, 1.0), aspect=(3 / 4, 4 / 3), tries=10, mirrored=0.5
    ):
        super().__init__(size)
        self.area = area
        self.aspect = aspect
        self.tries = tries
        self.mirrored = mirrored

    def box(self, height, width, key):
        low, high = (math.log(value) for value in self.aspect)
        for draws in uniforms(key, 4 * self.tries).reshape(-1, 4).tolist():
            share = self.area[0] + draws[0] * (self.area[1] - self.area[0])
            root = math.exp(0.5 * (low + draws[1] * (high - low)))
            side = math.sqrt(share * height * width)
            box_height, box_width = round(side / root), round(side * root)
            if 0 < box_height <= height and 0 < box_width <= width:
                return (
                    int(draws[2] * (height - box_height + 1)),
                    int(draws[3] * (width - box_width + 1)),
                    box_height,
                    box_width,
                )
        aspect = min(max(width / height, self.aspect[0]), self.aspect[1])
        box_height = max(1, min(height, round(width / aspect)))
        box_width = max(1, min(width, round(height * aspect)))
        return _centred(height, width, box_height, box_width)

    def cut(self, image, box, key):
        mirrored = uniforms(derive(key, 1), 1)[0] < self.mirrored
        return resize(image, box, self.size, mirrored)
