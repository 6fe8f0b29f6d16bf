"""The training step that every method shares: one gradient, one optimizer update."""

import keras
import tensorflow as tf

_SEED_STRIDE = 1_000_003  # between the replicas' random states


class Method(keras.Model):
    """A model that learns by `objective`, whatever the objective is.

    A subclass states its loss in `objective`, and may act in `change_gradients` and
    `after_update`. The step is the same in plain mode, under XLA, in mixed precision,
    in parts of a batch, on several replicas, and on one of them with an optimizer that
    accumulates gradients by itself.

    Args:
        **kwargs: Passed to `keras.Model`.
    """

    def __init__(self, **kwargs):
        kwargs.setdefault("autocast", False)  # pixels reach the backbone unrounded
        super().__init__(**kwargs)
        self._trackers = {}
        self._spread_seeds = {}
        for name in ("loss", *self.logged_terms()):
            self._trackers[name] = keras.metrics.Mean(name=name)

    @staticmethod
    def logged_terms():
        """Returns the names under which `objective` reports terms, besides `loss`."""
        return ()

    @staticmethod
    def summaries():
        """Returns what makes a number of terms that are tensors: functions by name.

        They get the mean over all parts and replicas of a batch.
        """
        return {}

    def objective(self, batch):
        """Computes the loss of one replica's batch.

        Args:
            batch: What the data set yields.

        Returns:
            Tuple `(loss, terms)`: a float32 scalar, and a dict of name to
            `(value, weight)` scalars whose weighted means are logged; the value is a
            tensor where `summaries` has the name.
        """
        raise NotImplementedError

    def change_gradients(self, gradients, variables):
        """Returns what the optimizer gets in place of a replica's gradients.

        Args:
            gradients: List of tensors, of a loss that is divided by the replicas.
            variables: List of the trainable variables, in the same order.
        """
        return gradients

    def after_update(self, updated):
        """Acts after the optimizer; `updated` is 1.0 where it changed the weights.

        With gradient accumulation that is the last of several steps.
        """

    # === Compiling ===

    batch_parts = 1
    _executions = None

    def compile(
        self, optimizer="adamw", loss=None, metrics=None, batch_parts=1, **kwargs
    ):
        """Configures training; see `keras.Model.compile`.

        Args:
            optimizer: Optimizer or its name.
            loss: See the method.
            metrics: See the method.
            batch_parts: Integer. A replica works on its batch in so many equal parts,
                one after the other: the same update from less memory.
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
        return list(self._trackers.values())

    @property
    def metrics(self):
        return self.running_means

    # === Steps ===

    def fit(self, *args, steps_per_epoch=None, **kwargs):
        if self._has_workers and self.steps_per_execution > 1:
            raise ValueError(
                "`steps_per_execution` should be 1 with several workers. "
                f"Received: {self.steps_per_execution}"
            )
        self.spread_random_states()
        if steps_per_epoch is not None:
            self._executions = executions(self.steps_per_execution, steps_per_epoch)
        try:
            return super().fit(*args, steps_per_epoch=steps_per_epoch, **kwargs)
        finally:
            self._executions = None

    def spread_random_states(self):
        """Gives each replica draws of its own, from the state of the first one."""
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return

        @tf.function
        def numbers():
            return strategy.run(
                lambda: tf.identity(
                    tf.distribute.get_replica_context().replica_id_in_sync_group
                )
            )

        numbers = strategy.experimental_local_results(numbers())
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
        optimizer = getattr(self, "optimizer", None)
        if optimizer is not None and not optimizer.built:
            with self.distribute_strategy.scope():
                optimizer.build(self.trainable_variables)

    def _make_function(self, step_function):
        """Makes what Keras calls with an iterator: a step, or several of them.

        Keras averages what workers return over axis 0, which scalars do not have, and
        its several steps go on after the end of an epoch.
        """

        def of_worker(batch):
            logs = step_function(batch)
            return {name: tf.reshape(value, (1,)) for name, value in logs.items()}

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

    def train_step(self, batch):
        variables = self.trainable_variables
        gradients, terms = None, []
        for part in range(self.batch_parts):
            # A part waits for the one before, or else all would be held at once.
            with tf.control_dependencies(tf.nest.flatten(gradients or [])):
                images = tf.nest.map_structure(lambda x, n=part: self.part(x, n), batch)
                added, found = self.gradients_of(images, variables)
            terms.append(found)
            gradients = added if gradients is None else add_gradients(gradients, added)
        # Before the update: what goes wrong here is in the weights then.
        logs = self.report(*terms, sound=self._is_sound())
        gradients = self.change_gradients(gradients, variables)
        before = tf.identity(self.optimizer.iterations)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        updated = tf.cast(self.optimizer.iterations != before, tf.float32)
        self.after_update(updated)
        return logs

    def part(self, tensor, number):
        """Returns one of the equal parts that a replica's batch is worked on in."""
        if self.batch_parts == 1:
            return tensor
        size, rest = divmod(tensor.shape[0], self.batch_parts)
        if rest:
            raise ValueError(
                f"`batch_parts` should divide a replica's batch of {tensor.shape[0]}. "
                f"Received: batch_parts={self.batch_parts}"
            )
        return tensor[number * size : (number + 1) * size]

    def gradients_of(self, batch, variables):
        """Returns what a part of a batch adds to the gradients, and its terms."""
        shares = tf.distribute.get_strategy().num_replicas_in_sync * self.batch_parts
        with tf.GradientTape() as tape:
            loss, terms = self.objective(batch)
            if self.losses:
                loss += tf.cast(tf.add_n(self.losses), loss.dtype)
            # The optimizer adds the replicas' gradients up, so each gives its share.
            scaled = self.optimizer.scale_loss(loss / shares)
        gradients = tape.gradient(scaled, variables)
        return gradients, {"loss": (loss, 1.0), **terms}

    def report(self, *parts, sound=True):
        """Adds `(value, weight)` terms to the running means and returns the means.

        Args:
            *parts: Dicts of the terms of each part of a batch.
            sound: Bool. If false, something was no number before. Then all terms are
                none from there on: only the loss is added, and the other means still
                tell which term it was.
        """
        summaries = self.summaries()
        for name in parts[0]:
            counts = True if name == "loss" else sound
            terms = [counted(*part[name], counts) for part in parts]
            if name in summaries:
                mean, weight = mean_over_replicas(terms)
                terms = [(summaries[name](mean), weight)]
            for value, weight in terms:
                self._trackers[name].update_state(value, sample_weight=weight)
        return {name: self._trackers[name].result() for name in parts[0]}

    def _is_sound(self):
        """Returns whether the losses of all steps before were numbers.

        Those of other replicas show in the weights: all that goes wrong arrives at the
        first layer.
        """
        here = tf.math.is_finite(self._trackers["loss"].total)
        return here & tf.reduce_all(tf.math.is_finite(self.trainable_variables[0]))


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


def counted(value, weight, counts=True):
    """Returns a term; where nothing is counted, its value may be no number."""
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


def add_gradients(ones, others):
    """Returns the sums of gradients of the same variables; some have none."""
    return [
        one if other is None else one + other
        for one, other in zip(ones, others, strict=True)
    ]
