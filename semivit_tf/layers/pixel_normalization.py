"""Normalisation of pixels in [0, 255] by mean and deviation."""

import keras
from keras import ops

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
GREY_MEAN = (0.5,)
GREY_STD = (0.5,)


def default_pixel_statistics(channels):
    """Returns the (mean, deviation) used for images with this many channels."""
    if channels == 3:
        return IMAGENET_MEAN, IMAGENET_STD
    return GREY_MEAN * channels, GREY_STD * channels


@keras.saving.register_keras_serializable(package="semivit_tf")
class PixelNormalization(keras.layers.Layer):
    """Maps uint8 or float pixels in [0, 255] to zero mean and unit deviation.

    It is a layer so that saved models take pixels, and no client has to normalise.

    Args:
        mean: Floats in [0, 1], one per channel.
        std: Positive floats, one per channel.
    """

    def __init__(self, mean, std, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError(
                "`mean` and `std` should have one entry per channel, `std` positive. "
                f"Received: mean={mean}, std={std}"
            )
        self.mean = tuple(mean)
        self.std = tuple(std)

    def call(self, images):
        pixels = ops.cast(images, "float32") / 255.0
        normal = (pixels - ops.array(self.mean, "float32")) / ops.array(
            self.std, "float32"
        )
        return ops.cast(normal, self.compute_dtype)

    def to_pixels(self, normal):
        """Returns the pixels of normalised values, not clipped to [0, 255]."""
        normal = ops.cast(normal, "float32")
        pixels = normal * ops.array(self.std, "float32") + ops.array(
            self.mean, "float32"
        )
        return pixels * 255.0

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.pop("autocast", None)
        return {**config, "mean": self.mean, "std": self.std}
