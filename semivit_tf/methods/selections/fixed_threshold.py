"""Pseudo labels count where their confidence reaches a threshold."""

import keras
from keras import ops

from semivit_tf.losses.pseudo_labels import confident


@keras.saving.register_keras_serializable(package="semivit_tf")
class FixedThreshold(keras.layers.Layer):
    """One threshold for all classes, throughout training.

    Args:
        threshold: Float. 0 keeps every image, more than 1 none.
    """

    def __init__(self, threshold=0.95, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.threshold = threshold

    def judge(self, probabilities):
        """Returns the weights `[U]` of images."""
        return confident(ops.max(probabilities, axis=-1), self.threshold)

    def call(self, probabilities, index=None):
        return self.judge(probabilities)

    def compute_output_shape(self, input_shape):
        return input_shape[:1]

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}
