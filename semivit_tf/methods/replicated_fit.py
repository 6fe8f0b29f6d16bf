"""Repairs of Keras' `fit` on replicas, on workers and for several steps at once."""

import keras
import tensorflow as tf

_SEED_STRIDE = 1_000_003  # between the replicas' random states


class ReplicatedFit(keras.Model):
    """A `keras.Model` whose `fit` works under every strategy of `tf.distribute`.

    As of Keras 3.15, `fit` fails on several workers, gives all replicas the same random
    draws, and runs past the end of an epoch when several steps make an execution.
    """

    _executions = None

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._spread_seeds = {}
        self._traced_sizes = {}

    def fit(self, x=None, *args, steps_per_epoch=None, **kwargs):
        self._trace_for("train_function", x)
        if self._has_workers and self.steps_per_execution > 1:
            raise ValueError(
                "`steps_per_execution` should be 1 with several workers. "
                f"Received: {self.steps_per_execution}"
            )
        self.spread_random_states()
        if steps_per_epoch is not None:
            self._executions = executions(self.steps_per_execution, steps_per_epoch)
        try:
            return super().fit(x, *args, steps_per_epoch=steps_per_epoch, **kwargs)
        finally:
            self._executions = None

    def evaluate(self, x=None, *args, **kwargs):
        self._trace_for("test_function", x)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        self._trace_for("predict_function", x)
        return super().predict(x, *args, **kwargs)

    def _trace_for(self, function, x):
        """Has one of Keras' functions made anew for images of another size.

        After two sizes TensorFlow would trace it for any, as `(None, None)`, which
        networks that need to know the size refuse.
        """
        size = image_size(x)
        if size and self._traced_sizes.setdefault(function, size) != size:
            self._traced_sizes[function] = size
            setattr(self, function, None)

    def spread_random_states(self):
        """Gives each replica draws of its own, from the state of the first one."""
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return

        # Not by `strategy.run`: that would trace a function at every call of `fit`.
        numbers = strategy.experimental_local_results(
            strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(context.replica_id_in_sync_group)
            )
        )
        offsets = [int(number) * _SEED_STRIDE for number in numbers]
        for variable in self.variables:
            if variable.name == "seed_generator_state":
                copies = strategy.experimental_local_results(variable.value)
                seed, count = copies[0].numpy().tolist()
                if self._spread_seeds.get(variable.path) == seed:
                    # Spread before, on a worker that is not the first.
                    seed -= offsets[0]
                for copy, offset in zip(copies, offsets, strict=True):
                    copy.assign([(seed + offset) % 2**31, count])
                self._spread_seeds[variable.path] = (seed + offsets[0]) % 2**31

    @property
    def _has_workers(self):
        return isinstance(
            self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy
        )

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Builds what is not built yet: the optimizer. Keras' way fails for workers."""
        if self.compiled and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def _make_function(self, step_function):
        """Makes what Keras calls with an iterator: one step, or several of them.

        Keras averages what workers return over axis 0, which scalars do not have, and
        its several steps go on after the end of an epoch.
        """

        def of_worker(batch):
            logs = step_function(batch)
            return {name: tf.expand_dims(value, 0) for name, value in logs.items()}

        function = super()._make_function(
            of_worker if self._has_workers else step_function
        )
        if self.steps_per_execution == 1:
            return function
        one_step = tf.autograph.experimental.do_not_convert(function)

        def several(iterator, count):
            logs = one_step([next(iterator)])
            for _ in tf.range(count - 1):
                logs = one_step([next(iterator)])
            return logs

        if not self.run_eagerly:
            several = tf.function(several, reduce_retracing=True)
        trains = step_function == self.train_step

        def execution(iterator):
            if trains and self._executions:
                return several(iterator, tf.constant(next(self._executions)))
            return function(iterator)

        return execution


def image_size(x):
    """Returns the `(H, W)` of the images in what `fit` gets as `x`, or None."""
    if isinstance(x, tf.data.Dataset):
        spec = x.element_spec
        x = spec[0] if isinstance(spec, tuple) else spec
    if isinstance(x, dict):
        x = x.get("image")
    shape = tf.TensorShape(getattr(x, "shape", None))
    return tuple(shape[1:3]) if shape.rank == 4 else None


def executions(steps, steps_per_epoch):
    """Yields, without end, how many steps an execution has: the last one what is left.

    Args:
        steps: Integer. The most that an execution has.
        steps_per_epoch: Integer.
    """
    while True:
        left = steps_per_epoch
        while left:
            count = min(steps, left)
            left -= count
            yield count
