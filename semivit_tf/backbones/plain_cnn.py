"""A plain convolutional network, small and quick to train, to judge others by."""

import keras

_SIDE = 8  # the map is halved until it is no larger
_LEAST = 2  # times that it is halved
_WIDTHS = 32, 64, 128
_FEATURES = 128


def plain_cnn(image_shape, dropout=0.4, name="plain_cnn"):
    """Builds 3x3 convolutions with pooling between them, and a dense layer.

    Args:
        image_shape: Tuple `(H, W, C)` of images in [0, 255].
        dropout: Float. Share of the features that are dropped in training.
        name: String.

    Returns:
        `keras.Model` from images `[B, H, W, C]` to features `[B, 128]`.
    """
    # Named, so that weights are found again by the names of their layers.
    images = keras.Input(image_shape, name="images")
    features = keras.layers.Rescaling(1 / 127.5, -1.0, name="scaling")(images)
    number = 0
    while number < _LEAST or max(features.shape[1:3]) > _SIDE:
        width = _WIDTHS[min(number, len(_WIDTHS) - 1)]
        convolution = keras.layers.Conv2D(
            width, 3, padding="same", activation="relu", name=f"convolution{number}"
        )
        pooling = keras.layers.MaxPooling2D(padding="same", name=f"pooling{number}")
        features = pooling(convolution(features))
        number += 1
    dense = keras.layers.Dense(_FEATURES, activation="relu", name="dense")
    features = dense(keras.layers.Flatten(name="flatten")(features))
    features = keras.layers.Dropout(dropout, name="dropout")(features)
    return keras.Model(images, features, name=name)
