"""How good would pseudo labels be? Validation images tell, whose labels are known."""

import keras
from keras import ops

from semivit_tf.losses.cross_entropy import class_numbers

_NAMES = ("pseudo_label_precision", "pseudo_label_coverage")


class JudgedLabels:
    """A mixin for methods that select pseudo labels.

    Validation says which share of its images would count, and which share of these has
    the right label. List it before `LabeledMethod` among the bases. The method has
    `settled_label`, from images to probabilities, and `judge`, from probabilities to
    weights, or to None where they are not known.
    """

    _quality: dict = {}

    def compile(self, *args, **kwargs):
        """Configures training; see `LabeledMethod.compile`."""
        super().compile(*args, **kwargs)
        if self.unlabeled_views:
            with self.distribute_strategy.scope():
                self._quality = {name: keras.metrics.Mean(name=name) for name in _NAMES}

    @property
    def metrics(self):
        return [*super().metrics, *self._quality.values()]

    def test_step(self, batch):
        logs = super().test_step(batch)
        if not self._quality:
            return logs
        images, labels, _ = self.unpack(batch)
        images = images["image"] if isinstance(images, dict) else images
        probabilities = self.settled_label(images)
        weight = self.judge(probabilities)
        if weight is None:
            return logs
        predicted = ops.argmax(probabilities, axis=-1)
        labels = ops.cast(class_numbers(labels), predicted.dtype)
        precision, coverage = self._quality.values()
        right = ops.cast(predicted == labels, "float32")
        precision.update_state(right, sample_weight=weight)
        coverage.update_state(weight)
        return {**logs, **{name: m.result() for name, m in self._quality.items()}}
