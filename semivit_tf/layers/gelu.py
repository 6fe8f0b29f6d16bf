"""A GELU whose gradient is computed from the input alone."""

import math

from keras import ops


def gelu(inputs, training=False):
    """Computes x Φ(x) exactly; training keeps only x for the gradient.

    TensorFlow would keep three tensors of this size, which in a transformer are the
    largest of all.

    Reference:
        Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """
    return _lean(inputs) if training else _value(inputs)


@ops.custom_gradient
def _lean(inputs):
    def gradient(*arguments, upstream=None):
        if upstream is None:
            (upstream,) = arguments
        # Φ(x) + x φ(x), with the factor 1/2 of both taken out.
        density = ops.exp(ops.square(inputs) * -0.5) * math.sqrt(2 / math.pi)
        slope = _twice_cumulative(inputs) + inputs * density
        return upstream * (0.5 * slope)

    return _value(inputs), gradient


def _value(inputs):
    # In this order LiteRT's converter takes it for a GELU; it has no `erf` by itself.
    return (0.5 * inputs) * _twice_cumulative(inputs)


def _twice_cumulative(inputs):
    return 1.0 + ops.erf(inputs * math.sqrt(0.5))
