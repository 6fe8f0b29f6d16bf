"""How far is a prediction from a target distribution over classes?"""

from keras import ops


def smoothed_one_hot(labels, num_classes, smoothing=0.0):
    """Returns targets `[B, K]`: `smoothing` spread over all classes, the rest on one.

    Args:
        labels: Integer tensor `[B]`. The targets of one that is no class are NaN, so
            that no loss takes it for an image of none.
        num_classes: Integer K.
        smoothing: Float in [0, 1).
    """
    one_hot = ops.one_hot(labels, num_classes, dtype="float32")
    is_class = (labels >= 0) & (labels < num_classes)
    one_hot = ops.where(is_class[:, None], one_hot, float("nan"))
    return one_hot * (1.0 - smoothing) + smoothing / num_classes


def soft_target_cross_entropy(targets, logits):
    """Returns the cross-entropy `[B]` of logits `[B, K]` against targets `[B, K]`.

    Computed in float32 whatever the precision of the network.
    """
    log_probabilities = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    return -ops.sum(targets * log_probabilities, axis=-1)
