"""Layouts: how the axes of a published weight become those of ours.

A layout names, for each axis of ours, the axes of the published array that it is made
of: `((2, 3, 1), (0,))` takes a kernel `[D, C, P, P]` to `[P * P * C, D]`.
"""

import math

import numpy as np

VECTOR = ((0,),)
# PyTorch: outputs first, and tokens with a batch axis of length 1.
DENSE = ((1,), (0,))
TOKENS = ((0, 1), (2,))
PATCHES = ((2, 3, 1), (0,))
CONVOLUTION = ((2,), (3,), (1,), (0,))
DEPTHWISE = ((2,), (3,), (0,), (1,))
# JAX: outputs last, heads on an axis of their own.
KERNEL = ((0,), (1,))
IMAGE_PATCHES = ((0, 1, 2), (3,))
TO_HEADS = ((0,), (1, 2))
HEADS_BIAS = ((0, 1),)
FROM_HEADS = ((0, 1), (2,))


def same(rank):
    """Returns the layout that does not change an array of this rank."""
    return tuple((axis,) for axis in range(rank))


def published_axes(layout):
    """Returns the published axes in the order of ours."""
    return [axis for group in layout for axis in group]


def our_shape(layout, shape):
    """Returns the shape in our layout, or None if the number of axes differs."""
    if len(shape) != len(published_axes(layout)):
        return None
    return tuple(math.prod(shape[axis] for axis in group) for group in layout)


def to_ours(array, layout):
    """Returns a published array in our layout."""
    shape = our_shape(layout, array.shape)
    return array.transpose(published_axes(layout)).reshape(shape)


def to_published(array, layout, sides):
    """Returns an array of ours in the published layout.

    Args:
        array: Array.
        layout: See above.
        sides: Dict from a published axis to its length, for all but one of the axes
            that make up one of ours.
    """
    lengths = []
    for length, group in zip(array.shape, layout, strict=True):
        known = math.prod(sides.get(axis, 1) for axis in group)
        lengths += [sides.get(axis, length // known) for axis in group]
    array = array.reshape(lengths)
    return array.transpose(np.argsort(published_axes(layout)))
