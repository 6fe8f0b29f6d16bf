"""How long a stage will take, from the gradient of a few images.

To compile a step takes minutes where the network is large, and to take an operation
after the other takes times as long as a step where it is small. A graph of the gradient
alone is traced in seconds, and takes what it takes in a step. It is held to what stages
take by `experiments/benchmarks/plan.py`.
"""

import dataclasses
import math
import time

import numpy as np
import tensorflow as tf

_MORE = 4  # times as many images are learned to measure, until
_LEAST, _LONG = 4, 0.3  # so many are learned, and for so many seconds
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
    # Logical devices share the processors.
    shared = run.config.run.logical_cpus > 1
    replicas = 1 if shared else run.strategy.num_replicas_in_sync
    parts, model.batch_parts = model.batch_parts, 1
    part = images / replicas / parts
    tensors = len(model.weights)
    trained = sum(math.prod(v.shape) for v in model.trainable_variables)
    step = parts * _seconds_of_gradient(training, part) + images * reading
    step += _DISPATCHING * tensors + _UPDATING * trained
    making = _TRACING + _COMPILING * bool(model.jit_compile)
    return Speed(step, _STARTING + making * tensors)


def _seconds_of_gradient(training, images):
    """Returns how long the gradient of so many images takes."""
    specs = training.specs or training.stream(0).element_spec
    learn = gradient_of(training.model, specs)
    learn(_noise_of(training, specs, 1))  # the first time takes longer
    many, seconds = 1, 0.0
    while many < images and (many < _LEAST or seconds < _LONG):
        many = min(_MORE * many, math.ceil(images))
        batch, found = _noise_of(training, specs, many), []
        while len(found) < _TIMES and sum(found) < _ENOUGH:
            start = time.perf_counter()
            learn(batch)
            found.append(time.perf_counter() - start)
        seconds = min(found)
    return seconds * images / many


def gradient_of(model, specs):
    """Returns a function that computes the gradient of a batch, and waits for it."""

    def gradients(batch):
        prepared = model.prepare(batch)
        found, _ = model.gradients_of(prepared, model.trainable_variables)
        return [tf.convert_to_tensor(one) for one in found]

    any_size = tf.nest.map_structure(
        lambda spec: tf.TensorSpec((None, *spec.shape[1:]), spec.dtype), specs
    )
    traced = tf.function(gradients, input_signature=[any_size], autograph=False)
    # Devices work on until they are asked.
    return lambda batch: float(tf.reduce_sum(traced(batch)[0]))


def _noise_of(training, specs, images):
    """Returns a batch of about so many images, as random bytes or as zeros."""

    def noise(spec):
        rows = math.ceil(spec.shape[0] * images / training.images_per_step)
        shape = (rows, *spec.shape[1:])
        if spec.dtype == tf.uint8:
            values = np.random.default_rng(0).integers(0, 256, shape, "uint8")
            return tf.constant(values)
        return tf.zeros(shape, spec.dtype)

    return tf.nest.map_structure(noise, specs)


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
