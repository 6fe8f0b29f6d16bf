"""What residual and two-stream networks share: pixels, and their arguments."""

import keras

from semivit_tf.layers.pixel_normalization import (
    PixelNormalization,
    default_pixel_statistics,
)


class PixelBackbone(keras.Model):
    """A network that takes pixels and normalises them itself.

    Args:
        image_size: Integer or tuple `(H, W)`.
        multiple: Integer that divides both.
        channels: Integer C. 1 for grey images, 3 for colour.
        pixel_mean: Floats in [0, 1] a channel. Defaults to ImageNet's for colour and
            0.5 otherwise.
        pixel_std: Floats a channel, likewise.
        drop_path: Float in [0, 1). Rate of the last block; it grows linearly from 0.
        synchronized: Bool. Whether replicas normalise by the images of all of them.
        **kwargs: Passed to `keras.Model`.
    """

    arguments: tuple[str, ...] = ()  # names of those of a subclass

    def __init__(
        self,
        image_size,
        multiple,
        channels,
        pixel_mean,
        pixel_std,
        drop_path,
        synchronized,
        **kwargs,
    ):
        kwargs.setdefault("autocast", False)  # pixels reach the first layer unrounded
        super().__init__(**kwargs)
        size = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
        if size[0] % multiple or size[1] % multiple:
            raise ValueError(
                f"`image_size` should be a multiple of {multiple}. "
                f"Received: image_size={size}"
            )
        if not 0 <= drop_path < 1:
            raise ValueError(
                f"`drop_path` should be in [0, 1). Received: drop_path={drop_path}"
            )
        default_mean, default_std = default_pixel_statistics(channels)
        self.image_size = size
        self.channels = channels
        self.pixel_mean = tuple(default_mean if pixel_mean is None else pixel_mean)
        self.pixel_std = tuple(default_std if pixel_std is None else pixel_std)
        self.drop_path = drop_path
        self.synchronized = synchronized
        self.normalization = PixelNormalization(
            self.pixel_mean,
            self.pixel_std,
            name="normalization",
            dtype=self.dtype_policy,
        )

    @property
    def image_shape(self):
        """The shape `(H, W, C)` of the images that the model is made for."""
        return (*self.image_size, self.channels)

    def get_config(self):
        names = (
            "image_size channels pixel_mean pixel_std drop_path synchronized"
        ).split()
        config = super().get_config()
        return {**config, **{n: getattr(self, n) for n in (*names, *self.arguments)}}


def check_stages(depths, widths):
    """Returns depths and widths as tuples: a positive integer for each stage."""
    depths, widths = tuple(depths), tuple(widths)
    if len(depths) != len(widths) or not depths or min(*depths, *widths) < 1:
        raise ValueError(
            "`depths` and `widths` should have one positive integer per stage. "
            f"Received: depths={depths}, widths={widths}"
        )
    return depths, widths


def block_strides(depths):
    """Returns the stride of each block: 2 where a stage begins, but for the first."""
    return [
        2 if stage and not number else 1
        for stage, depth in enumerate(depths)
        for number in range(depth)
    ]
