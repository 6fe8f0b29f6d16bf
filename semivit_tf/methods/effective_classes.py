"""Over how many classes are the pseudo labels spread that are learned from?"""

import keras
from keras import ops


class EffectiveClasses(keras.metrics.Metric):
    """The number of classes that, equally frequent, would be as uneven as these.

    It is the exponential of the entropy of their shares: K where all K classes are
    equally frequent, 1 where there is one only, and 0 where nothing was counted.

    Args:
        num_classes: Integer K.
        name: String.
    """

    def __init__(self, num_classes, name="effective_classes"):
        super().__init__(name=name, dtype="float32")
        self.counts = self.add_variable((num_classes,), "zeros", name="counts")

    def update_state(self, counts, sample_weight=1.0):
        """Adds counts `[K]`, or sums of weights, times a scalar."""
        self.counts.assign_add(sample_weight * ops.cast(counts, "float32"))

    def result(self):
        total = ops.sum(self.counts)
        shares = self.counts / ops.where(total > 0, total, 1.0)
        logs = ops.log(ops.where(shares > 0, shares, 1.0))
        spread = ops.exp(-ops.sum(shares * logs))
        return ops.where(total > 0, spread, 0.0)
