"""Limits on the lengths of gradients."""

from keras import ops


def clip_norm(gradient, largest):
    """Returns a gradient, scaled down to an L2 norm of at most `largest`."""
    norm = ops.sqrt(ops.sum(ops.square(gradient)))
    return gradient * ops.minimum(largest / (norm + 1e-6), 1.0)


def clip_global_norm(gradients, largest):
    """Returns gradients, scaled down together to an L2 norm of at most `largest`."""
    norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))
    factor = ops.minimum(largest / (norm + 1e-6), 1.0)
    return [gradient * factor for gradient in gradients]
