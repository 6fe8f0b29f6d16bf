"""A linear head for each stream of a network."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semivit_tf")
class StreamHeads(keras.layers.Layer):
    """Maps a feature `[B, D]` of each stream to its scores; returns `[B, S, K]`.

    Args:
        num_classes: Integer K.
        streams: Names of the streams.
        kernel_initializer: Keras initializer or its config.
    """

    def __init__(
        self, num_classes, streams, *, kernel_initializer="glorot_uniform", **kwargs
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.streams = tuple(streams)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.heads = [
            keras.layers.Dense(
                num_classes,
                kernel_initializer=self.kernel_initializer.clone(),
                dtype=self.dtype_policy,
                name=stream,
            )
            for stream in self.streams
        ]

    def build(self, input_shape):
        for head, shape in zip(self.heads, input_shape, strict=True):
            head.build(shape)

    def call(self, features):
        pairs = zip(self.heads, features, strict=True)
        return ops.stack([head(feature) for head, feature in pairs], axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], len(self.streams), self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "streams": self.streams,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
