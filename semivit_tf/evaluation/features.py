"""Features of images by a network without its head."""

import numpy as np


def extract_features(encode, batches):
    """Returns features `[N, D]` (float32) and labels `[N]` of one pass of batches.

    Args:
        encode: Function from images `[B, H, W, C]` to features `[B, D]`; as a
            `tf.function` it is fast.
        batches: Iterable of `(images, labels)`.
    """
    pairs = [(np.asarray(encode(images)), labels) for images, labels in batches]
    features, labels = zip(*pairs, strict=True)
    return np.concatenate(features).astype("float32"), np.concatenate(labels)
