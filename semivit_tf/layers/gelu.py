"""A smooth gate, and its slope made anew from the input alone."""

import math

from keras import ops


@ops.custom_gradient
def gelu(inputs):
    """Computes x Φ(x), exactly, and keeps nothing but x for the gradient.

    What TensorFlow keeps is three tensors of this size; in a transformer they are the
    largest of all.

    Reference:
        Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """

    def gradient(*arguments, upstream=None):
        if upstream is None:
            (upstream,) = arguments
        # Φ(x) + x φ(x), both halved factors taken out.
        density = ops.exp(ops.square(inputs) * -0.5) * math.sqrt(2 / math.pi)
        slope = _twice_cumulative(inputs) + inputs * density
        return upstream * (0.5 * slope)

    return inputs * (0.5 * _twice_cumulative(inputs)), gradient


def _twice_cumulative(inputs):
    return 1.0 + ops.erf(inputs * math.sqrt(0.5))
