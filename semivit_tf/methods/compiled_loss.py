"""The loss that `compile` was given, as a function of distributions and scores."""

import keras

from semivit_tf.losses.cross_entropy import soft_target_cross_entropy

# Of distributions; a softmax has to come before.
_OF_PROBABILITIES = (keras.losses.KLDivergence, keras.losses.Poisson)


def compiled_loss(loss):
    """Returns the unreduced loss of targets `[B, K]` and scores `[B, K]`.

    Integer labels are smoothed and mixed before any loss sees them, so a sparse
    cross-entropy of scores stands for its categorical form.

    Args:
        loss: What `compile(loss=...)` got, or None for the cross-entropy.
    """
    if loss is None:
        return soft_target_cross_entropy
    given = keras.losses.get(loss)
    config = given.get_config() if isinstance(given, keras.losses.Loss) else {}
    sparse = isinstance(given, keras.losses.SparseCategoricalCrossentropy)
    if sparse and config["from_logits"] and config["ignore_class"] is None:
        return soft_target_cross_entropy
    function = given if callable(given) and not config else None
    name = getattr(function, "__name__", "")
    # Keras' own functions take scores for probabilities, unless they are told.
    of_keras = getattr(function, "__module__", "").startswith("keras.")
    of_probabilities = isinstance(given, _OF_PROBABILITIES) or (
        config.get("from_logits") is False
    )
    if sparse or "sparse" in name or of_keras or of_probabilities:
        raise ValueError(
            "`loss` should compare distributions over classes with logits, such as "
            "keras.losses.CategoricalCrossentropy(from_logits=True): integer labels "
            f"are smoothed and mixed first. Received: {loss}"
        )
    # A Loss object averages when called; its `call` gives a value per image.
    return given.call if isinstance(given, keras.losses.Loss) else given
