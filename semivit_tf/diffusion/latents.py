"""Latents: what an encoder makes of images, which a generator learns in their place.

An encoder gives moments of each latent, means and log variances; a latent is drawn from
them anew each time that its image is learned, and multiplied by a factor that brings
latents to about unit deviation.
"""

import keras
import numpy as np
from keras import ops

PUBLISHED_SCALE = 0.18215  # of the autoencoder of latent diffusion
_FURTHEST = 30.0  # of log variances, as published, so that they cannot overflow


def draw_latents(moments, scale, seed):
    """Draws latents from moments.

    Args:
        moments: Float tensor `[B, h, w, 2 c]`: means, then log variances.
        scale: Float. What latents are multiplied by.
        seed: Integer or `keras.random.SeedGenerator`.

    Returns:
        Float32 tensor `[B, h, w, c]`.
    """
    mean, log_variance = ops.split(ops.cast(moments, "float32"), 2, axis=-1)
    deviation = ops.exp(0.5 * ops.clip(log_variance, -_FURTHEST, _FURTHEST))
    noise = keras.random.normal(ops.shape(mean), seed=seed)
    return scale * (mean + deviation * noise)


class Latents:
    """The way from images to moments of latents, and from latents to images.

    Args:
        encoder: `keras.Model` from images `[B, H, W, C]` in [-1, 1] to moments
            `[B, h, w, 2 c]`, or to latents `[B, h, w, c]` themselves.
        decoder: `keras.Model` from latents `[B, h, w, c]` to images in [-1, 1].
        scale: Float. What latents are multiplied by before they are learned.

    Reference:
        Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models,
        2022.
    """

    def __init__(self, encoder, decoder, scale=PUBLISHED_SCALE):
        shapes = [tuple(model.outputs[0].shape) for model in (encoder, decoder)]
        wanted = tuple(decoder.inputs[0].shape)
        if len(shapes[0]) != 4 or len(wanted) != 4:
            raise ValueError(
                "`encoder` and `decoder` should map images and latents of four axes. "
                f"Received: shapes {shapes[0]} and {wanted}"
            )
        channels = wanted[-1]
        if shapes[0][-1] not in (channels, 2 * channels):
            raise ValueError(
                f"`encoder` should give {channels} channels, as `decoder` takes, or "
                f"{2 * channels}, with their log variances. Received: {shapes[0][-1]}"
            )
        seen = encoder.inputs[0].shape[-1]
        if shapes[1][-1] != seen:
            raise ValueError(
                f"`decoder` should give images of {seen} channels, as `encoder` takes. "
                f"Received: {shapes[1][-1]}"
            )
        self.encoder = encoder
        self.decoder = decoder
        self.scale = scale
        self.channels = channels

    def shape_of(self, image_shape):
        """Returns the shape `(h, w, c)` of the latent of an image `(H, W, C)`."""
        made = self.encoder.compute_output_shape((1, *image_shape))
        return (*made[1:3], self.channels)

    def moments(self, images):
        """Returns the moments `[B, h, w, 2 c]` of images in [0, 255], a float32 array.

        Where the encoder says no variance, there is none.
        """
        scaled = np.asarray(images, "float32") / 127.5 - 1.0
        made = np.asarray(self.encoder.predict_on_batch(scaled), "float32")
        if made.shape[-1] == self.channels:
            made = np.concatenate([made, np.full_like(made, -_FURTHEST)], axis=-1)
        return made

    def decode(self, latents):
        """Returns images, a uint8 array `[B, H, W, C]`, of latents as learned."""
        scaled = np.asarray(latents, "float32") / self.scale
        images = np.asarray(self.decoder.predict_on_batch(scaled), "float32")
        return np.clip(np.rint(images * 127.5 + 127.5), 0, 255).astype("uint8")
