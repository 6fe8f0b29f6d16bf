"""The projection head of self-distillation."""

import keras

from semivit_tf.layers.gelu import gelu
from semivit_tf.layers.unit_length import unit_length
from semivit_tf.layers.weight_normalized_dense import WeightNormalizedDense


@keras.saving.register_keras_serializable(package="semivit_tf")
class ProjectionHead(keras.layers.Layer):
    """Three dense layers with GELU between, L2 normalisation, and many outputs.

    The outputs are cosines if the last layer is normalised. The head is not used after
    pre-training.

    Args:
        outputs: Integer K.
        hidden_width: Integer. Outputs of the first two layers.
        bottleneck_width: Integer. Outputs of the third.
        normalize_last_layer: Bool. Whether the gain of the last layer stays at 1.

    Reference:
        Caron et al., Emerging Properties in Self-Supervised Vision Transformers, 2021.
    """

    def __init__(
        self,
        outputs,
        *,
        hidden_width=2048,
        bottleneck_width=256,
        normalize_last_layer=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.outputs = outputs
        self.hidden_width = hidden_width
        self.bottleneck_width = bottleneck_width
        self.normalize_last_layer = normalize_last_layer
        self.dense = [
            keras.layers.Dense(
                width,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
                dtype=self.dtype_policy,
                name=f"dense{number}",
            )
            for number, width in enumerate(self._widths)
        ]
        self.last_layer = WeightNormalizedDense(
            outputs,
            fixed_gain=normalize_last_layer,
            dtype=self.dtype_policy,
            name="last_layer",
        )

    @property
    def _widths(self):
        return (self.hidden_width, self.hidden_width, self.bottleneck_width)

    def build(self, input_shape):
        for layer, width in zip(self.dense, self._widths, strict=True):
            layer.build(input_shape)
            input_shape = (*input_shape[:-1], width)
        self.last_layer.build(input_shape)

    def call(self, features, training=False):
        first, second, third = self.dense
        hidden = gelu(first(features), training)
        hidden = gelu(second(hidden), training)
        return self.last_layer(unit_length(third(hidden)))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.outputs)

    def get_config(self):
        names = "outputs hidden_width bottleneck_width normalize_last_layer"
        config = {name: getattr(self, name) for name in names.split()}
        return {**super().get_config(), **config}
