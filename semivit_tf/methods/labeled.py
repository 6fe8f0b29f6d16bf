"""What methods with labels share: the loss they are given, and validation."""

import keras
import tensorflow as tf

from semivit_tf.losses.cross_entropy import soft_target_cross_entropy
from semivit_tf.methods.compiled_loss import compiled_loss
from semivit_tf.methods.label_check import (
    checked,
    checked_validation,
    wrong_labels_named,
)
from semivit_tf.methods.network_metrics import NetworkMetrics
from semivit_tf.methods.train_step import Method


class LabeledMethod(Method):
    """A method with a labelled loss, tested on `(images [B, H, W, C], labels [B])`.

    Every network that the method trains or maintains is tested, each under its own
    name. A subclass has `num_classes`, says which networks those are, and which of them
    `answers`: whose answers `call` and `predict` give, whose accuracy chooses the best
    weights, and which is exported.
    """

    answers = "student"

    def networks(self):
        """Returns a dict of name, `student` or `teacher`, to network."""
        raise NotImplementedError

    def is_tested(self, name):
        """Returns whether validation should see this one of the networks."""
        return True

    def metric_prefix(self, name):
        """Returns what the names of a network's metrics begin with."""
        return f"{name}_" if len(self.networks()) > 1 else ""

    @property
    def selecting_metric(self):
        """The validation metric that the best weights have the most of."""
        return f"val_{self.metric_prefix(self.answers)}accuracy"

    # === Compiling ===

    loss_function = staticmethod(soft_target_cross_entropy)
    _network_metrics = {}

    def compile(self, optimizer="adamw", loss=None, metrics=None, **kwargs):
        """Configures training; see `Method.compile`.

        Args:
            optimizer: Optimizer or its name.
            loss: Optional loss of target distributions and logits, see
                `compiled_loss`.
            metrics: Optional metrics of labels and logits, for validation.
            **kwargs: Passed to `Method.compile`.
        """
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)
        self.loss_function = compiled_loss(loss)
        with self.distribute_strategy.scope():
            self._network_metrics = {
                name: NetworkMetrics(
                    self.metric_prefix(name), self.num_classes, metrics
                )
                for name in self.networks()
            }

    @property
    def metrics(self):
        tested = self._network_metrics.values()
        return [*super().metrics, *(m for group in tested for m in group.metrics)]

    # === Data ===

    def fit(self, x=None, y=None, *args, validation_data=None, **kwargs):
        with wrong_labels_named():
            return super().fit(
                checked(x, y, self.num_classes),
                y,
                *args,
                validation_data=checked_validation(validation_data, self.num_classes),
                **kwargs,
            )

    def evaluate(self, x=None, y=None, *args, **kwargs):
        if kwargs.get("_use_cached_eval_dataset"):  # by `fit`, which has checked
            return super().evaluate(x, y, *args, **kwargs)
        with wrong_labels_named():
            x = checked(x, y, self.num_classes)
            return super().evaluate(x, y, *args, **kwargs)

    # === Steps ===

    def unpack(self, batch):
        """Returns a batch as `(inputs, labels)`; sample weights are refused."""
        inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(batch)
        if weights is not None or labels is None:
            raise ValueError(
                f"{type(self).__name__} should get batches (inputs, labels). "
                f"Received: {tf.nest.map_structure(lambda x: x.shape, batch)}"
            )
        return inputs, labels

    def test_step(self, batch):
        images, labels = self.unpack(batch)
        if isinstance(images, dict):
            images = images["image"]
        logs = {}
        for name, network in self.networks().items():
            if self.is_tested(name):
                logits = network(images, training=False)
                logs.update(self._network_metrics[name].update(labels, logits))
        return logs
