"""How long a stage will take, from a few images that are learned without a graph.

To trace and compile a step of a large network takes minutes. Operation by operation, a
few images take seconds, and each takes what it takes in a graph. It is held to what
stages take by `experiments/benchmarks/plan.py`.
"""

import dataclasses
import math
import time

import numpy as np
import tensorflow as tf

_MORE = 4  # times as many images are learned to measure, until
_LONGER = 3.0  # times as long is taken, which the noise of a busy machine does not hide
_TIMES, _ENOUGH = 3, 1.0  # how often they are learned, or for how many seconds
_READ = 4, 200  # images of a batch that is read to measure, and of all, at most
_READING = 1.0  # seconds after which enough is read
# Seconds, as measured:
_TRACING = 0.04  # for a weight's tensor
_COMPILING = 0.06  # by XLA, besides
_DISPATCHING = 1e-4  # at each step, for a tensor
_UPDATING = 1.5e-8  # for a number: moments, decay, average
_STARTING = 4.0  # of a stage: streams, networks and files


@dataclasses.dataclass(frozen=True)
class Speed:
    """What a stage takes.

    Attributes:
        step: Float. Seconds of a step.
        beginning: Float. Seconds before the first step.
    """

    step: float
    beginning: float

    def seconds(self, steps):
        """Returns how long a number of steps takes."""
        return self.beginning + self.step * steps if steps else 0.0


def estimated_speed(run, training, reading):
    """Learns a few images of noise; returns a `Speed`.

    Args:
        run: `Run`.
        training: `Training` of one of its stages, built on one device.
        reading: Float. Seconds that reading an image takes.
    """
    model, images = training.model, training.images_per_step
    most = images / model.batch_parts  # that fit into memory
    model.batch_parts = 1  # and are not cut further
    # Logical devices share the processors.
    shared = run.config.run.logical_cpus > 1
    replicas = 1 if shared else run.strategy.num_replicas_in_sync
    tensors = len(model.weights)
    trained = sum(math.prod(v.shape) for v in model.trainable_variables)
    step = images * (_seconds_of_image(training, most) / replicas + reading)
    step += _DISPATCHING * tensors + _UPDATING * trained
    making = _TRACING + _COMPILING * bool(model.jit_compile)
    return Speed(step, _STARTING + making * tensors)


def _seconds_of_image(training, most):
    """Returns how much longer a step takes with one image more."""
    specs = training.stream(0).element_spec
    few, first = _learning(training, specs, 1)
    many, seconds = few, first
    while seconds < _LONGER * first and many < most:
        many, seconds = _learning(training, specs, min(_MORE * many, most))
    if seconds > first:
        return (seconds - first) / (many - few)
    return seconds / many  # on a busy machine, no difference may be left


def _learning(training, specs, images):
    """Returns about as many images, and how long their gradient takes at best."""
    model = training.model
    rows = max(spec.shape[0] for spec in tf.nest.flatten(specs))
    share = math.ceil(rows * images / training.images_per_step) / rows
    batch = tf.nest.map_structure(lambda spec: _noise(spec, share), specs)
    found = []
    while len(found) < _TIMES and sum(found) < _ENOUGH:
        start = time.perf_counter()
        prepared = model.prepare(batch)
        gradients, _ = model.gradients_of(prepared, model.trainable_variables)
        float(tf.reduce_sum(gradients[0]))  # devices work on until they are asked
        found.append(time.perf_counter() - start)
    return share * training.images_per_step, min(found)


def _noise(spec, share):
    """Returns the first rows of a batch, as random bytes or as zeros."""
    shape = (math.ceil(spec.shape[0] * share), *spec.shape[1:])
    if spec.dtype == tf.uint8:
        return tf.constant(np.random.default_rng(0).integers(0, 256, shape, "uint8"))
    return tf.zeros(shape, spec.dtype)


def seconds_of_reading(run):
    """Returns how long reading and changing an image takes."""
    size, most = (min(n, len(run.data.image_indices)) for n in _READ)
    batches, read = iter(run.data.images(size, 0)), 0
    next(batches)  # a stream takes its time to begin
    start = time.perf_counter()
    while read < most and time.perf_counter() - start < _READING:
        next(batches)
        read += size
    return (time.perf_counter() - start) / read
