"""The training step that every method shares: one gradient, one optimizer update."""

import keras
import tensorflow as tf

from semivit_tf.methods.micro_batches import cut, sums_and_rows
from semivit_tf.methods.replicated_fit import ReplicatedFit
from semivit_tf.methods.term_means import TermMeans


class Method(ReplicatedFit):
    """A model that learns by `objective`, whatever the objective is.

    A subclass decides in `prepare` what is decided once for a batch, states its loss in
    `objective`, and may act in `change_gradients` and `after_update`. The step is the
    same in plain mode, under XLA, in mixed precision, in micro-batches, on several
    replicas, and on one of them with an optimizer that accumulates gradients by itself.

    Args:
        **kwargs: Passed to `keras.Model`.
    """

    def __init__(self, **kwargs):
        kwargs.setdefault("autocast", False)  # pixels reach the backbone unrounded
        super().__init__(**kwargs)
        self._means = TermMeans(self.logged_terms(), self.summaries())

    # === What a method is ===

    def logged_terms(self):
        """Returns the names under which `objective` reports terms, besides `loss`."""
        return ()

    def summaries(self):
        """Returns, for terms that are tensors, functions to a number, by name.

        A function gets the mean over all micro-batches and replicas of a batch.
        """
        return {}

    def track_term(self, metric):
        """Lets a metric of its own sum up the logged term of the metric's name."""
        self._means.trackers[metric.name] = metric

    def prepare(self, batch):
        """Works out what is decided once for a replica's batch, without a gradient.

        Draws that involve several images, pseudo labels and running statistics belong
        here: the batch is cut into micro-batches afterwards.

        Args:
            batch: What the data set yields.

        Returns:
            A nest of tensors whose first axis counts images. A micro-batch is the same
            part of each of them.
        """
        return batch

    def objective(self, prepared):
        """Computes the loss of a micro-batch.

        Args:
            prepared: A part of what `prepare` returned.

        Returns:
            Tuple `(loss, terms)`: a float32 scalar, and a dict of name to
            `(value, weight)` scalars whose weighted means are logged; the value is a
            tensor where `summaries` has the name.
        """
        raise NotImplementedError

    def change_gradients(self, gradients, variables):
        """Returns the gradients that a replica's optimizer should get instead.

        Args:
            gradients: List of tensors, of a loss that is divided by the replicas.
            variables: List of the trainable variables, in the same order.
        """
        return gradients

    def after_update(self, updated):
        """Acts after the optimizer; `updated` is 1.0 where it changed the weights.

        With gradient accumulation that is the last of several steps.
        """

    def first_updates(self):
        """Returns how many first updates leave a variable unchanged, by its id."""
        return {}

    def updates(self):
        """Returns how many updates of the weights were made."""
        return self.optimizer.iterations if self.compiled else 0

    def at_this_update(self, value):
        """Returns a number, or the present value of a schedule of updates."""
        return value(self.updates()) if callable(value) else value

    # === Compiling ===

    batch_parts = 1

    def compile(
        self, optimizer="adamw", loss=None, metrics=None, batch_parts=1, **kwargs
    ):
        """Configures training; see `keras.Model.compile`.

        Args:
            optimizer: Optimizer or its name.
            loss: See the method.
            metrics: See the method.
            batch_parts: Integer. Number of equal micro-batches into which a replica
                splits its batch: the same update from less memory.
            **kwargs: Passed to `keras.Model.compile`.
        """
        if batch_parts < 1:
            raise ValueError(
                f"`batch_parts` should be at least 1. Received: {batch_parts}"
            )
        super().compile(optimizer=optimizer, loss=None, metrics=None, **kwargs)
        self.batch_parts = batch_parts
        self._compile_config.config.update(
            loss=loss, metrics=metrics, batch_parts=batch_parts
        )

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    @property
    def running_means(self):
        """The metrics that hold the means of the terms over an epoch."""
        return list(self._means.trackers.values())

    @property
    def metrics(self):
        return self.running_means

    # === The step ===

    def train_step(self, batch):
        prepared = self.prepare(batch)
        variables = self.trainable_variables
        gradients, terms = self.gradients_in_turn(prepared, variables)
        # Report before the update, while the weights are still finite.
        logs = self.report(*terms, finite=self._is_finite())
        gradients = self.change_gradients(gradients, variables)
        before = tf.identity(self.optimizer.iterations)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        updated = tf.cast(self.optimizer.iterations != before, tf.float32)
        self.after_update(updated)
        return logs

    def gradients_in_turn(self, prepared, variables):
        """Returns the gradients of a batch, and the terms of each micro-batch."""
        if self.batch_parts == 1:
            gradients, terms = self.gradients_of(prepared, variables)
            return gradients, [terms]
        gradients, rows = sums_and_rows(
            lambda part: self.gradients_of(part, variables),
            cut(prepared, self.batch_parts),
            self.batch_parts,
            unrolled=self._has_replicas(),
        )
        terms = [
            tf.nest.map_structure(lambda row, number=number: row[number], rows)
            for number in range(self.batch_parts)
        ]
        return gradients, terms

    def by_micro_batches(self, function, batch):
        """Applies a function to each micro-batch and joins the results.

        Args:
            function: From a part of the batch to a tensor of as many rows.
            batch: A nest of tensors whose first axis counts images.
        """
        parts = self.batch_parts
        if parts == 1:
            return function(batch)
        _, rows = sums_and_rows(
            lambda part: ([], function(part)),
            cut(batch, parts),
            parts,
            unrolled=self._has_replicas(),
        )
        return tf.reshape(rows, (-1, *rows.shape[2:]))

    def _has_replicas(self):
        return tf.distribute.get_strategy().num_replicas_in_sync > 1

    def gradients_of(self, prepared, variables):
        """Returns what a micro-batch adds to the gradients, and its terms."""
        shares = tf.distribute.get_strategy().num_replicas_in_sync * self.batch_parts
        with tf.GradientTape() as tape:
            loss, terms = self.objective(prepared)
            if self.losses:
                loss += tf.cast(tf.add_n(self.losses), loss.dtype)
            # The optimizer sums over replicas, so each gives its share of the mean.
            scaled = self.optimizer.scale_loss(loss / shares)
        gradients = tape.gradient(scaled, variables)
        terms = {"loss": (loss, 1.0), **terms}
        return gradients, tf.nest.map_structure(tf.convert_to_tensor, terms)

    def report(self, *parts, finite=True):
        """Adds terms to the running means and returns the means; see `TermMeans`."""
        return self._means.add(*parts, finite=finite)

    def _is_finite(self):
        """Returns whether all steps before were finite, on every replica.

        Non-finite gradients of any replica reach the first layer of all of them.
        """
        first = self.trainable_variables[0]
        return self._means.loss_is_finite & tf.reduce_all(tf.math.is_finite(first))
