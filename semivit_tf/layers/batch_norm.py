"""Batch norm whose running statistics stay the same on all replicas."""

import keras


@keras.saving.register_keras_serializable(package="semivit_tf")
class BatchNorm(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` with a shorter memory, fit for replicas.

    Each replica normalises by its own images, or by all with `synchronized=True`. Its
    running statistics are the mean over replicas, as Keras' own would drift apart.

    Args:
        momentum: Float. Of the running statistics.
        epsilon: Float. Added to the variance.
        **kwargs: Passed to `keras.layers.BatchNormalization`.

    Reference:
        Ioffe and Szegedy, Batch Normalization, 2015.
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def add_weight(self, *args, trainable=True, **kwargs):
        if not trainable:
            kwargs["aggregation"] = "mean"
        return super().add_weight(*args, trainable=trainable, **kwargs)
