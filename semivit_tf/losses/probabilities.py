"""How far are probabilities from other ones?"""

from keras import ops


def squared_error(targets, logits):
    """Returns the squared differences `[B]` of probabilities, averaged over classes.

    Args:
        targets: Float tensor `[B, K]` of probabilities.
        logits: Tensor `[B, K]`.
    """
    probabilities = ops.softmax(ops.cast(logits, "float32"), axis=-1)
    return ops.mean(ops.square(probabilities - targets), axis=-1)


def sharpened(probabilities, temperature):
    """Returns the probabilities `[B, K]` of the same logits at a lower temperature.

    Args:
        probabilities: Float tensor `[B, K]`.
        temperature: Float above 0. 1 changes nothing, less makes them more certain.
    """
    logits = ops.log(ops.maximum(probabilities, 1e-30))
    return ops.softmax(logits / temperature, axis=-1)
