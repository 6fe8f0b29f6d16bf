"""What do methods with labels share: the loss they are given, and validation."""

import keras
import tensorflow as tf

from semivit_tf.losses.cross_entropy import soft_target_cross_entropy
from semivit_tf.methods.network_metrics import NetworkMetrics
from semivit_tf.methods.train_step import Method


class LabeledMethod(Method):
    """A method with a labelled loss, tested on `(images [B, H, W, C], labels [B])`.

    Every network that the method trains or maintains is tested, each under its own
    name. A subclass has `num_classes` and says which networks those are.
    """

    def networks(self):
        """Returns a dict of prefix for metric names, such as `teacher_`, to network."""
        raise NotImplementedError

    def is_tested(self, prefix):
        """Returns whether validation should see this one of the networks."""
        return True

    # === Compiling ===

    loss_function = staticmethod(soft_target_cross_entropy)

    def compile(self, optimizer="adamw", loss=None, metrics=None, **kwargs):
        """Configures training; see `Method.compile`.

        Args:
            optimizer: Optimizer or its name.
            loss: Optional loss of target distributions and logits.
            metrics: Optional metrics of labels and logits, for validation.
            **kwargs: Passed to `Method.compile`.
        """
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)
        if loss is None:
            self.loss_function = soft_target_cross_entropy
        else:
            given = keras.losses.get(loss)
            config = given.get_config() if hasattr(given, "get_config") else {}
            name = getattr(given, "name", getattr(given, "__name__", ""))
            built_in = isinstance(loss, str) and "from_logits" not in config
            if "sparse" in name or built_in or config.get("from_logits") is False:
                raise ValueError(
                    "`loss` should compare distributions over classes with logits, "
                    "such as keras.losses.CategoricalCrossentropy(from_logits=True): "
                    f"integer labels are smoothed and mixed first. Received: {loss}"
                )
            # A Loss object averages when called; `call` gives a value per image.
            self.loss_function = getattr(given, "call", given)
        with self.distribute_strategy.scope():
            self._network_metrics = [
                NetworkMetrics(prefix, self.num_classes, metrics)
                for prefix in self.networks()
            ]

    @property
    def metrics(self):
        tested = getattr(self, "_network_metrics", [])
        return [
            *super().metrics,
            *(metric for group in tested for metric in group.metrics),
        ]

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
        networks = self.networks().items()
        for (prefix, network), group in zip(
            networks, self._network_metrics, strict=True
        ):
            if self.is_tested(prefix):
                logs.update(group.update(labels, network(images, training=False)))
        return logs
