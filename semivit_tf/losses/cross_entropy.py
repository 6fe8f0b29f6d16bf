"""How far is a prediction from a target distribution over classes?"""

from keras import ops


def label_distributions(labels, num_classes):
    """Returns labels of any form as distributions over the classes, float32 `[B, K]`.

    Args:
        labels: Tensor of class numbers `[B]` or `[B, 1]`, or of distributions `[B, K]`.
            The row of a number that is no class is NaN, so that no loss takes it for an
            image of none.
        num_classes: Integer K.
    """
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) == 2 and labels.shape[1] == 1:
        labels = ops.squeeze(labels, axis=1)
    if len(labels.shape) == 2 and labels.shape[1] == num_classes:
        return ops.cast(labels, "float32")
    if len(labels.shape) != 1:
        raise ValueError(
            f"Labels should be class numbers [B] or distributions [B, {num_classes}]. "
            f"Received: shape {tuple(labels.shape)}"
        )
    is_class = (labels >= 0) & (labels < num_classes)
    one_hot = ops.one_hot(ops.cast(labels, "int32"), num_classes, dtype="float32")
    return ops.where(is_class[:, None], one_hot, float("nan"))


def class_numbers(labels):
    """Returns labels of any form, see `label_distributions`, as class numbers `[B]`."""
    if len(labels.shape) == 2 and labels.shape[1] == 1:
        return ops.squeeze(labels, axis=1)
    return labels if len(labels.shape) == 1 else ops.argmax(labels, axis=-1)


def smoothed(targets, smoothing):
    """Returns targets of which `smoothing` is spread over all classes.

    Args:
        targets: Float tensor `[B, K]`: distributions, or multiples of them.
        smoothing: Float in [0, 1).
    """
    if not smoothing:
        return targets
    total = ops.sum(targets, axis=-1, keepdims=True)
    return targets * (1.0 - smoothing) + total * (smoothing / targets.shape[-1])


def smoothed_one_hot(labels, num_classes, smoothing=0.0):
    """Returns targets `[B, K]`: `smoothing` spread over all classes, the rest on one.

    Args:
        labels: Tensor of labels, see `label_distributions`.
        num_classes: Integer K.
        smoothing: Float in [0, 1).
    """
    return smoothed(label_distributions(labels, num_classes), smoothing)


def soft_target_cross_entropy(targets, logits):
    """Returns the cross-entropy `[B]` of logits `[B, K]` against targets `[B, K]`.

    Computed in float32 whatever the precision of the network.
    """
    log_probabilities = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    return -ops.sum(targets * log_probabilities, axis=-1)
