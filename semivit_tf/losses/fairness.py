"""Are predictions as even over the classes as they should be?"""

from keras import ops


def _normalized(values):
    return values / ops.maximum(ops.sum(values), 1e-12)


def _ratio(values, shares):
    """Returns values / shares; 0 where a share is."""
    return ops.where(shares > 0, values / ops.where(shares > 0, shares, 1.0), 0.0)


def self_adaptive_fairness(logits, weight, class_probability, class_share):
    """Returns FreeMatch's fairness loss, a scalar: a negative cross-entropy.

    Both distributions over classes, the running one and that of the batch, are mean
    probabilities divided by how often each class is predicted. A quotient of means over
    a batch is no mean of quotients, so micro-batches and replicas change it slightly.

    Args:
        logits: Float tensor `[U, K]`.
        weight: Float tensor `[U]`. Images of weight 0 are left out; where all are, the
            loss is 0.
        class_probability: Float tensor `[K]`, the running mean of probabilities.
        class_share: Float tensor `[K]`, the running share of images predicted as each
            class.
    """
    kept = ops.cast(weight > 0, "float32")[:, None]
    count = ops.maximum(ops.sum(kept), 1.0)
    probabilities = ops.softmax(logits, axis=-1)
    labels = ops.argmax(logits, axis=-1)
    one_hot = ops.one_hot(labels, logits.shape[-1], dtype="float32")
    mean = ops.sum(kept * probabilities, axis=0) / count
    share = ops.sum(kept * one_hot, axis=0) / count
    expected = _normalized(_ratio(class_probability, class_share))
    found = _normalized(_ratio(mean, share))
    loss = ops.sum(ops.stop_gradient(expected) * ops.log(found + 1e-12))
    return ops.where(ops.sum(kept) > 0, loss, 0.0)
