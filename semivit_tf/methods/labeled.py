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
from semivit_tf.methods.network_metrics import NetworkMetrics, tell_directions
from semivit_tf.methods.train_step import Method


def all_class_weights(class_weight, num_classes):
    """Returns the weights of all classes: 1 where `fit(class_weight=...)` has none.

    Keras fails at a label beyond the last class that has one.
    """
    unknown = set(class_weight) - set(range(num_classes))
    if unknown:
        raise ValueError(
            f"`class_weight` should have keys of 0 to {num_classes - 1}. "
            f"Received: {', '.join(map(repr, sorted(unknown, key=str)))}"
        )
    return {
        number: float(class_weight.get(number, 1.0)) for number in range(num_classes)
    }


class LabeledMethod(Method):
    """A method with a labelled loss, tested on `(images [B, H, W, C], labels)`.

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

    # === Shapes ===

    @property
    def input_shape(self):
        """The shape of the images that the model is made for."""
        return (None, *self.image_shape)

    @property
    def output_shape(self):
        """The shape of the logits."""
        return (None, self.num_classes)

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """Exports the logits of pixels, see `keras.Model.export`.

        `export_saved_model` makes what is served: class names, files as inputs.
        """
        if input_signature is None:
            input_signature = [keras.InputSpec(shape=self.input_shape, dtype="float32")]
        return super().export(
            filepath, *args, input_signature=input_signature, **kwargs
        )

    # === Compiling ===

    loss_function = staticmethod(soft_target_cross_entropy)
    _network_metrics: dict = {}

    def compile(
        self,
        optimizer="adamw",
        loss=None,
        metrics=None,
        weighted_metrics=None,
        **kwargs,
    ):
        """Configures training; see `Method.compile`.

        Args:
            optimizer: Optimizer or its name.
            loss: Optional loss of target distributions and logits, see
                `compiled_loss`.
            metrics: Optional metrics of labels and logits, for validation.
            weighted_metrics: The same, of metrics that regard the weights of images.
            **kwargs: Passed to `Method.compile`.
        """
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)
        self._compile_config.config.update(weighted_metrics=weighted_metrics)
        self.loss_function = compiled_loss(loss)
        with self.distribute_strategy.scope():
            self._network_metrics = {
                name: NetworkMetrics(
                    self.metric_prefix(name),
                    self.num_classes,
                    metrics,
                    weighted_metrics,
                    also_plain=name == self.answers,
                    streams=network.streams,
                )
                for name, network in self.networks().items()
            }

    @property
    def metrics(self):
        tested = self._network_metrics.values()
        return [*super().metrics, *(m for group in tested for m in group.metrics)]

    # === Data ===

    def fit(self, x=None, y=None, *args, callbacks=None, **kwargs):
        watching = getattr(callbacks, "callbacks", keras.tree.flatten(callbacks or []))
        tell_directions(watching, self._network_metrics.values())
        classes = self.num_classes
        if callbacks is not None:
            kwargs["callbacks"] = callbacks
        if kwargs.get("class_weight") is not None:
            kwargs["class_weight"] = all_class_weights(kwargs["class_weight"], classes)
        with wrong_labels_named():
            if kwargs.get("validation_data") is not None:
                validation_data = kwargs["validation_data"]
                kwargs["validation_data"] = checked_validation(validation_data, classes)
            return super().fit(checked(x, y, classes), y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        if kwargs.get("_use_cached_eval_dataset"):  # by `fit`, which has checked
            return super().evaluate(x, y, *args, **kwargs)
        with wrong_labels_named():
            x = checked(x, y, self.num_classes)
            return super().evaluate(x, y, *args, **kwargs)

    # === Steps ===

    def unpack(self, batch):
        """Returns a batch as `(inputs, labels, weights)`; weights may be None."""
        inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(batch)
        if labels is None:
            raise ValueError(
                f"{type(self).__name__} should get batches (inputs, labels), or with "
                "weights as a third. "
                f"Received: {tf.nest.map_structure(lambda x: x.shape, batch)}"
            )
        return inputs, labels, weights

    def test_step(self, batch):
        images, labels, weights = self.unpack(batch)
        if isinstance(images, dict):
            images = images["image"]
        logs = {}
        for name, network in self.networks().items():
            if self.is_tested(name):
                scores = network.scores(images, training=False)
                metrics = self._network_metrics[name]
                logs.update(metrics.update(labels, scores, weights))
        return logs
