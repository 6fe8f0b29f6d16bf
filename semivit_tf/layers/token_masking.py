"""Random choice of the tokens that a masked autoencoder's encoder sees."""

import keras
from keras import ops


def random_token_order(batch, tokens, seed=None):
    """Draws an independent random order of the tokens of each sample.

    Returns:
        Tuple `(shuffle, restore)` of integer tensors `[B, N]`: gathering by `shuffle`
        puts tokens in random order, gathering by `restore` puts them back.
    """
    noise = keras.random.uniform((batch, tokens), dtype="float32", seed=seed)
    shuffle = ops.argsort(noise, axis=1)
    return shuffle, ops.argsort(shuffle, axis=1)


def visible_count(tokens, mask_ratio):
    """Returns how many of a sample's tokens stay visible (truncated, as published)."""
    return int(tokens * (1 - mask_ratio))


def gather_tokens(tokens, indices):
    """Returns the tokens `[B, M, D]` of `[B, N, D]` at `indices` `[B, M]`."""
    return ops.take_along_axis(tokens, indices[:, :, None], axis=1)


def token_mask(restore, visible):
    """Returns the mask `[B, N]` in image order: 1 where a token is hidden."""
    return ops.cast(restore >= visible, "float32")
