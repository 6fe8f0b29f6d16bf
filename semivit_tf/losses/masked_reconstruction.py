"""How well were the hidden patches of an image rebuilt?"""

from keras import ops


def normalize_patches(patches):
    """Gives every patch `[..., P * P * C]` zero mean and unit (unbiased) variance."""
    count = patches.shape[-1]
    centred = patches - ops.mean(patches, axis=-1, keepdims=True)
    variance = ops.sum(ops.square(centred), axis=-1, keepdims=True) / (count - 1)
    return centred / ops.sqrt(variance + 1e-6)


def masked_patch_error(targets, predictions):
    """Returns the squared error `[B, N]` of each patch, averaged over its pixels.

    Multiply by the mask and divide by its sum over the whole batch.

    Args:
        targets: Float tensor `[B, N, P * P * C]`.
        predictions: Float tensor of the same shape.
    """
    predictions = ops.cast(predictions, "float32")
    return ops.mean(ops.square(predictions - ops.cast(targets, "float32")), axis=-1)
