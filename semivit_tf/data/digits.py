"""The embedded sample: 1,797 handwritten digits of 8x8 pixels, part of scikit-learn."""

import numpy as np
from sklearn.datasets import load_digits as sklearn_digits

from semivit_tf.data.array_source import ArraySource
from semivit_tf.data.order import permutation
from semivit_tf.data.parts import Parts

TEST_IMAGES = 359


def load_digits(data_dir=None, class_names=None):
    """Returns the fixed 1,438 training and 359 test images."""
    if data_dir is not None:
        raise ValueError(f"The digits need no `data_dir`. Received: {data_dir!r}")
    digits = sklearn_digits()
    # Grey levels 0..16 become 0..255.
    images = np.round(digits.images * 255 / 16).astype("uint8")[..., None]
    order = permutation(len(images), seed=0)
    names = class_names or [str(digit) for digit in range(10)]
    parts = np.sort(order[TEST_IMAGES:]), np.sort(order[:TEST_IMAGES])
    return Parts(
        *(ArraySource(images[part], digits.target[part], names) for part in parts)
    )
