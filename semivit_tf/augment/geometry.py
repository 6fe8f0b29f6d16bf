"""Moving, cropping and flipping images, a whole batch at a time.

Like every operation of a policy: a class says how many uniform `draws` it needs for an
image, and is called with images `[N, H, W, C]` and those draws `[N, draws]`.
"""

import math

import tensorflow as tf


class RandomFlip:
    """Mirrors half of the images left to right."""

    draws = 1

    def __call__(self, images, draws):
        flips = draws[:, 0] < 0.5
        return tf.where(flips[:, None, None, None], images[:, :, ::-1], images)


class RandomAffine:
    """Rotates, scales, shears and shifts about the centre; what was outside is black.

    Args:
        rotation: Float. Largest angle, in degrees.
        shift: Float. Largest shift, as a share of the image's side.
        scale: Float. The image is scaled by 1 - scale to 1 + scale.
        shear: Float. Largest shear factor.
    """

    draws = 5

    def __init__(self, rotation=0.0, shift=0.0, scale=0.0, shear=0.0):
        self.rotation = math.radians(rotation)
        self.shift = shift
        self.scale = scale
        self.shear = shear

    def __call__(self, images, draws):
        height, width = images.shape[1:3]
        signed = 2.0 * draws - 1.0
        angle = signed[:, 0] * self.rotation
        zoom = 1.0 / (1.0 + signed[:, 1] * self.scale)
        shear = signed[:, 2] * self.shear
        down = signed[:, 3] * self.shift * height
        right = signed[:, 4] * self.shift * width
        # Maps output pixels (x, y) to input pixels, both measured from the centre.
        xx, xy = zoom * tf.cos(angle), zoom * (tf.sin(angle) + shear)
        yx, yy = -zoom * tf.sin(angle), zoom * tf.cos(angle)
        cx, cy = (width - 1) / 2, (height - 1) / 2
        x0 = cx - right - xx * cx - xy * cy
        y0 = cy - down - yx * cx - yy * cy
        zero = tf.zeros_like(angle)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=tf.stack([xx, xy, x0, yx, yy, y0, zero, zero], axis=1),
            output_shape=(height, width),
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )


class RandomResizedCrop:
    """Cuts a box of random area and aspect and resizes it.

    Args:
        size: Tuple `(H, W)` of the result.
        area: Tuple of the smallest and largest share of the image's area.
        aspect: Tuple of the smallest and largest width over height, drawn
            log-uniformly.
    """

    draws = 4

    def __init__(self, size, area=(0.2, 1.0), aspect=(3 / 4, 4 / 3)):
        self.size = size
        self.area = area
        self.aspect = aspect

    def __call__(self, images, draws):
        low, high = (math.log(value) for value in self.aspect)
        area = self.area[0] + draws[:, 0] * (self.area[1] - self.area[0])
        root = tf.exp(0.5 * (low + draws[:, 1] * (high - low)))
        side = tf.sqrt(area)
        height = tf.minimum(side / root, 1.0)
        width = tf.minimum(side * root, 1.0)
        top = draws[:, 2] * (1.0 - height)
        left = draws[:, 3] * (1.0 - width)
        boxes = self._pixel_centres(images, top, left, height, width)
        return tf.image.crop_and_resize(
            images, boxes, tf.range(tf.shape(images)[0]), self.size
        )

    def _pixel_centres(self, images, top, left, height, width):
        """Turns edges into what `crop_and_resize` samples between: pixel centres."""
        rows, columns = images.shape[1:3]
        y_step, x_step = height * rows / self.size[0], width * columns / self.size[1]
        y1, x1 = top * rows + y_step / 2 - 0.5, left * columns + x_step / 2 - 0.5
        y2 = y1 + (self.size[0] - 1) * y_step
        x2 = x1 + (self.size[1] - 1) * x_step
        last_row, last_column = max(rows - 1, 1), max(columns - 1, 1)
        boxes = [y1 / last_row, x1 / last_column, y2 / last_row, x2 / last_column]
        # Sampling points half a pixel outside would be black: move them onto the edge.
        return tf.clip_by_value(tf.stack(boxes, axis=1), 0.0, 1.0)
