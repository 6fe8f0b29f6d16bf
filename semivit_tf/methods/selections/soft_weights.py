"""Weights of SoftMatch: 1 above the mean confidence, and less and less below it."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semivit_tf")
class SoftWeights(keras.layers.Layer):
    """A weight for each image, from running statistics of the confidence.

    The probabilities are first divided by their running mean, so that a class which the
    network prefers has no advantage. Below the running mean of the confidence, weights
    fall like a bell curve whose width is the running deviation divided by `deviations`.
    Statistics take the batch in before it is judged.

    Args:
        threshold_momentum: Float in [0, 1]. Of the running means.
        deviations: Float. The larger, the faster weights fall.

    Reference:
        Chen et al., SoftMatch: Addressing the Quantity-Quality Tradeoff in
        Semi-supervised Learning, 2023.
    """

    def __init__(self, threshold_momentum=0.999, deviations=2.0, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not 0 <= threshold_momentum <= 1:
            raise ValueError(
                "`threshold_momentum` should be in [0, 1]. "
                f"Received: {threshold_momentum}"
            )
        self.threshold_momentum = threshold_momentum
        self.deviations = deviations

    def build(self, input_shape):
        classes = input_shape[-1]
        self.class_probability = self._state("class_probability", 0.0, (classes,))
        self.seen = self._state("seen", 0.0)
        self.confidence = self._state("confidence", 1.0 / classes)
        self.variance = self._state("variance", 1.0)
        # Of the batch that is judged, over all replicas.
        self.batch_mean = self._state("batch_mean", 0.0)
        self.batch_square = self._state("batch_square", 0.0)
        self.batch_count = self._state("batch_count", 0.0, aggregation="sum")

    def _state(self, name, value, shape=(), aggregation="mean"):
        """Makes a variable; what replicas assign becomes one by its aggregation."""
        return self.add_weight(
            shape=shape,
            name=name,
            initializer=keras.initializers.Constant(value),
            trainable=False,
            aggregation=aggregation,
            dtype="float32",
        )

    def aligned(self, probabilities):
        """Returns probabilities whose running mean is even over the classes."""
        even = 1.0 / probabilities.shape[-1]
        shares = probabilities * (even + 1e-6) / (self.class_probability + 1e-6)
        return shares / ops.sum(shares, axis=-1, keepdims=True)

    def judge(self, probabilities):
        """Returns the weights `[U]` of images, and learns nothing from them."""
        below = ops.max(self.aligned(probabilities), axis=-1) - self.confidence
        below = ops.minimum(below, 0.0)
        width = 2.0 * self.variance / self.deviations**2
        return ops.exp(-ops.square(below) / width)

    def call(self, probabilities, index=None):
        mean = ops.mean(probabilities, axis=0)
        momentum = (
            self.threshold_momentum * self.seen
        )  # the first batch is all there is
        self._follow(self.class_probability, mean, momentum)
        self.seen.assign(1.0)
        surest = ops.max(self.aligned(probabilities), axis=-1)
        self.batch_mean.assign(ops.mean(surest))
        self.batch_square.assign(ops.mean(ops.square(surest)))
        self.batch_count.assign(ops.cast(ops.size(surest), "float32"))
        count = self.batch_count + 0.0
        variance = self.batch_square - ops.square(self.batch_mean)
        variance *= count / ops.maximum(count - 1.0, 1.0)
        self._follow(self.confidence, self.batch_mean, self.threshold_momentum)
        self._follow(self.variance, variance, self.threshold_momentum)
        return self.judge(probabilities)

    def _follow(self, variable, value, momentum):
        variable.assign(momentum * variable + (1.0 - momentum) * value)

    def compute_output_shape(self, input_shape):
        return input_shape[:1]

    def get_config(self):
        return {
            **super().get_config(),
            "threshold_momentum": self.threshold_momentum,
            "deviations": self.deviations,
        }
