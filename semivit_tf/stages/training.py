"""What is a training stage about to do? All that `fit` needs, before it starts."""

import dataclasses
from collections.abc import Callable, Sequence

import keras


@dataclasses.dataclass(frozen=True)
class Training:
    """A compiled method, where its batches come from, and for how long.

    `images_per_step` counts all images of a step, with and without labels.
    """

    model: keras.Model
    stream: Callable
    epochs: int
    steps_per_epoch: int
    images_per_step: int
    best: tuple | None = None
    callbacks: Sequence = ()
