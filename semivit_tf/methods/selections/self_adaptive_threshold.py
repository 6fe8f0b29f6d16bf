"""Thresholds of FreeMatch: they follow how sure the network is of each class."""

import keras
from keras import ops

from semivit_tf.losses.pseudo_labels import confident


@keras.saving.register_keras_serializable(package="semivit_tf")
class SelfAdaptiveThreshold(keras.layers.Layer):
    """A threshold for each class from running means of the pseudo labels' statistics.

    The global threshold is the running mean of the confidence; a class has the share of
    it that its mean probability is of the largest one. Means start at 1 / K and take
    the batch in before it is judged.

    Args:
        threshold_momentum: Float in [0, 1]. Of the running means.

    Reference:
        Wang et al., FreeMatch: Self-adaptive Thresholding for Semi-supervised Learning,
        2023.
    """

    def __init__(self, threshold_momentum=0.999, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not 0 <= threshold_momentum <= 1:
            raise ValueError(
                "`threshold_momentum` should be in [0, 1]. "
                f"Received: {threshold_momentum}"
            )
        self.threshold_momentum = threshold_momentum

    def build(self, input_shape):
        classes = input_shape[-1]
        # Replicas assign means over their own images; "mean" makes them one.
        state = {
            "initializer": keras.initializers.Constant(1.0 / classes),
            "trainable": False,
            "aggregation": "mean",
            "dtype": "float32",
        }
        self.confidence = self.add_weight(shape=(), name="confidence", **state)
        self.class_probability = self.add_weight(
            shape=(classes,), name="class_probability", **state
        )
        self.class_share = self.add_weight(
            shape=(classes,), name="class_share", **state
        )

    def follow(self, variable, value):
        """Moves a running mean towards the mean of a batch."""
        momentum = self.threshold_momentum
        variable.assign(momentum * variable + (1.0 - momentum) * value)

    def thresholds(self):
        """Returns the threshold `[K]` of each class."""
        relative = self.class_probability / ops.max(self.class_probability)
        return self.confidence * relative

    def judge(self, probabilities):
        """Returns the weights `[U]` of images, and learns nothing from them."""
        thresholds = ops.take(self.thresholds(), ops.argmax(probabilities, axis=-1))
        return confident(ops.max(probabilities, axis=-1), thresholds)

    def call(self, probabilities, index=None):
        labels = ops.argmax(probabilities, axis=-1)
        one_hot = ops.one_hot(labels, probabilities.shape[-1], dtype="float32")
        self.follow(self.confidence, ops.mean(ops.max(probabilities, axis=-1)))
        self.follow(self.class_probability, ops.mean(probabilities, axis=0))
        self.follow(self.class_share, ops.mean(one_hot, axis=0))
        return self.judge(probabilities)

    def compute_output_shape(self, input_shape):
        return input_shape[:1]

    def get_config(self):
        return {
            **super().get_config(),
            "threshold_momentum": self.threshold_momentum,
        }
