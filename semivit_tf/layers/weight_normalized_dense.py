"""A dense layer with weight normalisation."""

import keras
from keras import ops

from semivit_tf.layers.unit_length import unit_length


@keras.saving.register_keras_serializable(package="semivit_tf")
class WeightNormalizedDense(keras.layers.Layer):
    """A dense layer without bias, whose columns are directions times gains.

    Args:
        units: Integer. Outputs.
        fixed_gain: Bool. Whether the gains stay at 1.

    Reference:
        Salimans and Kingma, Weight Normalization, 2016.
    """

    def __init__(self, units, *, fixed_gain=False, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.fixed_gain = fixed_gain

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units),
            # Uniform with bound 1 / sqrt(inputs), as published.
            initializer=keras.initializers.VarianceScaling(
                1 / 3, mode="fan_in", distribution="uniform"
            ),
            autocast=False,
            name="kernel",
        )
        # A matrix, as published, so that weight decay treats it as one.
        self.gain = self.add_weight(
            shape=(1, self.units),
            initializer="ones",
            trainable=not self.fixed_gain,
            autocast=False,
            name="gain",
        )

    def call(self, features):
        directions = unit_length(self.kernel, axis=0) * self.gain
        return ops.matmul(features, ops.cast(directions, features.dtype))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        config = {"units": self.units, "fixed_gain": self.fixed_gain}
        return {**super().get_config(), **config}
