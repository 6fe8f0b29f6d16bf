"""Losses and metrics on validation images, named after whose weights they measure."""

import keras
from keras import ops

from semivit_tf.losses.cross_entropy import (
    smoothed_one_hot,
    soft_target_cross_entropy,
)


def resolve_metric(metric):
    """Returns a fresh metric on integer labels and scores, as `compile` may get it."""
    if metric in ("accuracy", "acc"):
        return keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    metric = keras.metrics.get(metric)
    if isinstance(metric, keras.metrics.Metric):
        return metric.__class__.from_config(metric.get_config())
    return keras.metrics.MeanMetricWrapper(metric, name=metric.__name__)


class NetworkMetrics:
    """The loss and the metrics of one network, named after whose weights they measure.

    Args:
        prefix: String such as `"teacher_"`, or `""` where there is one network only.
        num_classes: Integer K.
        metrics: What `compile(metrics=...)` got: a list, or None for top-1 accuracy
            and, with more than five classes, top-5.
    """

    def __init__(self, prefix, num_classes, metrics=None):
        if metrics is None:
            metrics = ["accuracy"]
            if num_classes > 5:
                metrics.append(
                    keras.metrics.SparseTopKCategoricalAccuracy(
                        k=5, name="top5_accuracy"
                    )
                )
        self.num_classes = num_classes
        self.loss = keras.metrics.Mean(name=f"{prefix}loss")
        self.others = [resolve_metric(metric) for metric in metrics]
        for metric in self.others:
            metric.name = f"{prefix}{metric.name}"

    @property
    def metrics(self):
        """All metrics, the loss first."""
        return [self.loss, *self.others]

    def update(self, labels, logits):
        """Adds labels `[B]` and logits `[B, K]`; returns the results so far."""
        logits = ops.cast(logits, "float32")
        targets = smoothed_one_hot(labels, self.num_classes)
        self.loss.update_state(soft_target_cross_entropy(targets, logits))
        for metric in self.others:
            metric.update_state(labels, logits)
        return {metric.name: metric.result() for metric in self.metrics}
