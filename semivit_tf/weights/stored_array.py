"""An array in a file, whose shape is known before it is read."""

import dataclasses
from collections.abc import Callable

import numpy as np

from semivit_tf.weights.weights_error import WeightsError


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array that stays in its file until it is asked for.

    Attributes:
        shape: Tuple of integers. Their product is at most what the unpacked file
            holds.
        load: Function without arguments that returns the array.
    """

    shape: tuple
    load: Callable

    def read(self):
        """Returns the array in float32; non-finite numbers are refused."""
        array = np.asarray(self.load())
        if array.dtype.kind in "biuc":
            raise WeightsError(f"weights should be floats. Received: {array.dtype}")
        array = array.astype("float32", copy=False)
        if not np.isfinite(array).all():
            raise WeightsError("weights should be finite. Received: NaN or infinity")
        return array
