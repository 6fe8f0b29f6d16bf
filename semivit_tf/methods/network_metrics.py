"""Losses and metrics on validation images, named after whose weights they measure."""

import keras
from keras import ops

from semivit_tf.losses.cross_entropy import (
    class_numbers,
    label_distributions,
    soft_target_cross_entropy,
)


def resolve_metric(metric):
    """Returns a fresh metric of what `compile` got, with the name that Keras gives."""
    if metric in ("accuracy", "acc"):
        return keras.metrics.SparseCategoricalAccuracy(name=metric)
    found = keras.metrics.get(metric)
    if isinstance(found, keras.metrics.Metric):
        found = found.__class__.from_config(found.get_config())
    else:
        found = keras.metrics.MeanMetricWrapper(found, name=found.__name__)
    if isinstance(metric, str):
        found.name = metric
    return found


def as_list(metrics):
    """Returns what `compile(metrics=...)` got as a list."""
    if isinstance(metrics, dict):
        raise ValueError(
            f"`metrics` should be a list, as there is one output. Received: {metrics}"
        )
    return list(metrics) if isinstance(metrics, (list, tuple)) else [metrics]


def label_form(metric):
    """Returns the function that gives labels the form that a metric compares.

    Keras' metrics take class numbers where they are called sparse, else distributions;
    a metric of the user gets the labels as the data has them.
    """
    function = getattr(metric, "_fn", None)
    name = getattr(function, "__name__", type(metric).__name__)
    if getattr(metric, "sparse_y_true", name.lower().startswith("sparse")):
        return lambda labels, distributions: class_numbers(labels)
    if (function or type(metric)).__module__.partition(".")[0] == "keras":
        return lambda labels, distributions: distributions
    return lambda labels, distributions: labels


def tell_directions(callbacks, networks_metrics):
    """Tells callbacks whether more of the metric that they watch is better.

    Keras 3.15 finds out only about metrics that its own `compile` has made.

    Args:
        callbacks: List of callbacks, of which some may have `monitor` and `mode`.
        networks_metrics: Iterable of `NetworkMetrics`.
    """
    directions = {
        name: "max" if getattr(metric, "_direction", "down") == "up" else "min"
        for group in networks_metrics
        for name, metric in group.named().items()
        if hasattr(metric, "_direction") or metric is group.loss
    }
    for callback in callbacks:
        watched = getattr(callback, "monitor", "").removeprefix("val_")
        if getattr(callback, "mode", "") == "auto" and watched in directions:
            callback.mode = directions[watched]


class NetworkMetrics:
    """The loss and the metrics of one network, named after whose weights they measure.

    Args:
        prefix: String such as `"teacher_"`, or `""` where there is one network only.
        num_classes: Integer K.
        metrics: What `compile(metrics=...)` got: a list, or None for top-1 accuracy
            and, with more than five classes, top-5.
        weighted_metrics: Further metrics, which regard the weights of images.
        also_plain: Bool. Whether the results are given without the prefix, too: under
            the names that callbacks are told to watch.
        streams: Names of the network's streams, where the accuracy of each is told.
    """

    def __init__(
        self,
        prefix,
        num_classes,
        metrics=None,
        weighted_metrics=None,
        also_plain=False,
        streams=(),
    ):
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
        plain = [resolve_metric(metric) for metric in as_list(metrics)]
        self.weighted = [resolve_metric(m) for m in as_list(weighted_metrics or [])]
        self.others = [*plain, *self.weighted]
        for metric in self.others:
            metric.name = f"{prefix}{metric.name}"
            if isinstance(metric, keras.metrics.FBetaScore):
                # It cannot be reset before its first update otherwise (Keras 3.15).
                metric._build((None, num_classes), (None, num_classes))
        self.forms = [label_form(metric) for metric in self.others]
        self.of_streams = [
            keras.metrics.SparseCategoricalAccuracy(name=f"{prefix}{stream}_accuracy")
            for stream in streams
        ]
        self.prefix, self.also_plain = prefix, also_plain

    @property
    def metrics(self):
        """All metrics, the loss first."""
        return [self.loss, *self.others, *self.of_streams]

    def named(self):
        """Returns all metrics by the names under which their results are given."""
        named = {metric.name: metric for metric in self.metrics}
        if self.also_plain:
            named.update({n.removeprefix(self.prefix): m for n, m in named.items()})
        return named

    def update(self, labels, scores, weights=None):
        """Adds a batch and returns the results so far.

        Args:
            labels: Tensor of class numbers `[B]` or of distributions `[B, K]`.
            scores: Tensor `[B, S, K]`, whose sum over streams are the logits.
            weights: Optional tensor `[B]`, for the loss and the weighted metrics.
        """
        scores = ops.cast(scores, "float32")
        logits = ops.sum(scores, axis=1)
        targets = label_distributions(labels, self.num_classes)
        losses = soft_target_cross_entropy(targets, logits)
        if weights is not None:
            weights = ops.reshape(ops.cast(weights, "float32"), (-1,))
            losses *= weights
        self.loss.update_state(losses)
        for metric, form in zip(self.others, self.forms, strict=True):
            given = weights if metric in self.weighted else None
            metric.update_state(form(labels, targets), logits, sample_weight=given)
        for number, metric in enumerate(self.of_streams):
            metric.update_state(class_numbers(labels), scores[:, number])
        return {name: metric.result() for name, metric in self.named().items()}
