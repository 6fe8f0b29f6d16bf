"""An encoder and a decoder from files, for a generator that learns latents."""

import os

from semivit_tf.backbones.saved_network import read_network
from semivit_tf.diffusion.latents import PUBLISHED_SCALE, Latents


def load_latents(
    encoder: str | os.PathLike,
    decoder: str | os.PathLike,
    scale: float = PUBLISHED_SCALE,
) -> Latents:
    """Loads an encoder and a decoder that `keras.Model.save` wrote.

    They may be made of Keras' own layers; no code of the files is run.

    Args:
        encoder: Path of a `.keras` file; see `Latents`, and so are the others.
        decoder: Path of a `.keras` file.
        scale: Float.

    Returns:
        `Latents`.
    """
    return Latents(read_network(encoder), read_network(decoder), scale)
