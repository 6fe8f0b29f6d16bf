"""What does a network without a head say about images?"""

import numpy as np


def extract_features(encode, batches):
    """Returns features `[N, D]` (float32) and labels `[N]` of one pass of batches.

    Args:
        encode: Function from images `[B, H, W, C]` to features `[B, D]`: a
            `tf.function`, or it takes long.
        batches: Iterable of `(images, labels)`.
    """
    pairs = [(np.asarray(encode(images)), labels) for images, labels in batches]
    features, labels = zip(*pairs, strict=True)
    return np.concatenate(features).astype("float32"), np.concatenate(labels)
