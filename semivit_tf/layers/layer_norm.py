"""Layer normalisation with one gradient, so that runs repeat to the bit."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semivit_tf")
class LayerNorm(keras.layers.Layer):
    """Normalises the last axis, as `keras.layers.LayerNormalization` would.

    Keras' layer is several operations, so three gradients reach its input, and a fourth
    from a residual branch. TensorFlow sums them in an order that depends on when memory
    becomes free, so runs differ in the last bits. Here there is one gradient, computed
    from the normalised values, the only large tensor that is kept.

    Args:
        epsilon: Float. Added to the variance.

    Reference:
        Ba et al., Layer Normalization, 2016.
    """

    def __init__(self, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        shared = {"shape": input_shape[-1:], "autocast": False}
        self.gamma = self.add_weight(name="gamma", initializer="ones", **shared)
        self.beta = self.add_weight(name="beta", initializer="zeros", **shared)

    def call(self, inputs, training=False):
        # Squares of float16 numbers would overflow.
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        normalize = _in_training if training else _value
        outputs = normalize(
            ops.cast(inputs, dtype),
            ops.cast(self.gamma, dtype),
            ops.cast(self.beta, dtype),
            self.epsilon,
        )
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


def _value(inputs, scale, offset, epsilon):
    normal, _ = _standardize(inputs, epsilon)
    return normal * scale + offset


def _in_training(inputs, scale, offset, epsilon):
    @ops.custom_gradient
    def value(inputs, scale, offset):
        normal, inverse = _standardize(inputs, epsilon)

        def gradient(*arguments, upstream=None):
            if upstream is None:
                (upstream,) = arguments
            inner = upstream * scale
            shift = ops.mean(inner, axis=-1, keepdims=True)
            slope = ops.mean(inner * normal, axis=-1, keepdims=True)
            all_but_last = tuple(range(len(upstream.shape) - 1))
            return (
                inverse * (inner - shift - normal * slope),
                ops.sum(upstream * normal, axis=all_but_last),
                ops.sum(upstream, axis=all_but_last),
            )

        return normal * scale + offset, gradient

    return value(inputs, scale, offset)


def _standardize(inputs, epsilon):
    """Returns the normalised values, and 1 / their deviation before."""
    centred = inputs - ops.mean(inputs, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    inverse = ops.rsqrt(variance + epsilon)
    return centred * inverse, inverse
