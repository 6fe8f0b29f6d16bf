"""Means of losses and other terms over micro-batches, replicas and an epoch."""

import keras
import tensorflow as tf


class TermMeans:
    """Running means of the terms that a method's objective reports.

    Args:
        names: Names of the terms besides `loss`.
        summaries: For terms that are tensors, a dict of name to a function from the
            term's mean to a number.
    """

    def __init__(self, names, summaries):
        self.summaries = summaries
        self.trackers = {
            name: keras.metrics.Mean(name=name) for name in ("loss", *names)
        }

    def add(self, *parts, finite=True):
        """Adds the terms of each micro-batch; returns the means by name.

        Args:
            *parts: Dicts of name to `(value, weight)`, one for each micro-batch.
            finite: Bool. False once a loss was non-finite; from then on only the loss
                is counted, so the other means still tell which term it was.
        """
        for name in parts[0]:
            counts = True if name == "loss" else finite
            terms = [counted(*part[name], counts) for part in parts]
            if name in self.summaries:
                mean, weight = mean_over_replicas(terms)
                terms = [(self.summaries[name](mean), weight)]
            for value, weight in terms:
                self.trackers[name].update_state(value, sample_weight=weight)
        return {name: self.trackers[name].result() for name in parts[0]}

    @property
    def loss_is_finite(self):
        """Whether the losses of all steps before were finite."""
        return tf.math.is_finite(self.trackers["loss"].total)


def counted(value, weight, counts=True):
    """Returns a term; where its weight is 0, its value may be non-finite."""
    weight = tf.where(counts, tf.cast(weight, value.dtype), 0.0)
    return tf.where(weight > 0, value, tf.zeros_like(value)), weight


def mean_over_replicas(terms):
    """Returns the mean of `(value, weight)` terms, over all replicas, and its weight.

    Args:
        terms: Sequence of tuples: a tensor and a scalar.
    """
    total = tf.add_n([weight * value for value, weight in terms])
    weight = tf.add_n([weight for _, weight in terms])
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync > 1:
        total, weight = replica.all_reduce("SUM", [total, weight])
    return tf.math.divide_no_nan(total, weight), weight
