"""Means over a whole epoch, also where it was stopped and continued."""

import keras


class KeepRunningMeans(keras.callbacks.Callback):
    """Restores the running means that `fit` resets when the first epoch begins.

    Args:
        keep: Bool. Whether the first epoch was begun before and has means to restore.
    """

    def __init__(self, keep):
        super().__init__()
        self.keep = keep
        self._kept = []

    def _copies(self):
        strategy = self.model.distribute_strategy
        return [
            copy
            for metric in self.model.running_means
            for variable in metric.variables
            for copy in strategy.experimental_local_results(variable.value)
        ]

    def on_train_begin(self, logs=None):
        if self.keep:
            self._kept = [copy.numpy() for copy in self._copies()]

    def on_epoch_begin(self, epoch, logs=None):
        if self._kept:
            for copy, value in zip(self._copies(), self._kept, strict=True):
                copy.assign(value)
            self._kept = []
