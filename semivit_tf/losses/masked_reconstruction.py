"""How well were the hidden patches of an image rebuilt?"""

from keras import ops


def patch_statistics(patches):
    """Returns mean and (unbiased) deviation of every patch `[..., P * P * C]`."""
    mean = ops.mean(patches, axis=-1, keepdims=True)
    squares = ops.sum(ops.square(patches - mean), axis=-1, keepdims=True)
    return mean, ops.sqrt(squares / (patches.shape[-1] - 1) + 1e-6)


def normalize_patches(patches):
    """Gives every patch `[..., P * P * C]` zero mean and unit (unbiased) variance."""
    mean, deviation = patch_statistics(patches)
    return (patches - mean) / deviation


def masked_patch_error(targets, predictions):
    """Returns the squared error `[B, N]` of each patch, averaged over its pixels.

    `masked_mean` makes a loss of it.

    Args:
        targets: Float tensor `[B, N, P * P * C]`.
        predictions: Float tensor of the same shape.
    """
    predictions = ops.cast(predictions, "float32")
    return ops.mean(ops.square(predictions - ops.cast(targets, "float32")), axis=-1)


def masked_mean(error, mask):
    """Returns the mean error of all hidden patches of a batch: a scalar.

    Each patch counts alike, also where images hide unequal numbers of them. Where
    nothing is hidden the mean is 0.

    Args:
        error: Float tensor `[B, N]`.
        mask: Float tensor `[B, N]`: 1 for hidden patches, 0 for the others.
    """
    return ops.sum(error * mask) / ops.maximum(ops.sum(mask), 1.0)
