"""Presets of KerasHub as backbones, each with the scaling it was saved with."""

import keras

from semivit_tf.backbones.adapted_network import AdaptedNetwork


def import_keras_hub():
    """Returns the package `keras_hub`, or says how to install it."""
    try:
        import keras_hub
    except ImportError as error:
        raise ValueError(
            "A preset of KerasHub needs the package keras-hub: "
            'pip install "keras-hub>=0.32,<0.33". '
            f"Received: {error}"
        ) from error
    return keras_hub


def load_scaling(keras_hub, preset):
    """Returns the layer that scales pixels as a preset's image converter does."""
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except FileNotFoundError:
        converter = None
    if converter is None:
        raise ValueError(
            "`preset` should have an image converter, which says how its network wants "
            f"pixels scaled. Received: preset={preset!r}"
        )
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="scaling")


def load_preset(preset, image_size, *, channels=3, pooling="mean"):
    """Builds a network of KerasHub as a backbone, with the preset's weights.

    Args:
        preset: Name such as `"vit_base_patch16_224_imagenet"`, which is downloaded, or
            path of a local folder, which needs an image converter.
        image_size: Integer or tuple `(H, W)`.
        channels: That of the network, or 1.
        pooling: `"mean"` over tokens or positions, or `"class_token"`: the first token.

    Returns:
        An `AdaptedNetwork`.
    """
    keras_hub = import_keras_hub()
    try:
        scaling = load_scaling(keras_hub, preset)
        network = keras_hub.models.Backbone.from_preset(preset)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # A damaged folder can raise any error.
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"The preset {preset} cannot be used: {reason}") from error
    return AdaptedNetwork(
        network, scaling, image_size, channels=channels, pooling=pooling
    )
