"""Networks of `keras.applications` as backbones, each with its own scaling."""

import inspect

import keras
from keras import ops

from semivit_tf.backbones.adapted_network import AdaptedNetwork


def find_application(name):
    """Returns the function of `keras.applications` that builds a network."""
    known = [key for key in dir(keras.applications) if key[0].isupper()]
    if name not in known:
        raise ValueError(
            f"`name` should be a network of keras.applications: {', '.join(known)}. "
            f"Received: {name!r}"
        )
    return getattr(keras.applications, name)


@keras.saving.register_keras_serializable(package="semivit_tf")
class ApplicationScaling(keras.layers.Layer):
    """Scales pixels in [0, 255] by a network's own `preprocess_input`.

    Networks that scale by themselves, such as EfficientNet, get pixels unchanged.

    Args:
        application: Name of the network, such as `"ResNet50V2"`.
    """

    def __init__(self, application, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.application = application
        family = inspect.getmodule(find_application(application))
        self.preprocess = family.preprocess_input

    def call(self, images):
        scaled = self.preprocess(ops.cast(images, "float32"))
        return ops.cast(scaled, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.pop("autocast", None)
        return {**config, "application": self.application}


def build_with_weights(constructor, weights, options):
    """Returns the network, with weights that are downloaded or read from a file."""
    try:
        return constructor(weights=weights, **options)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise ValueError(
            f"{constructor.__name__} cannot be built with these weights: {error}. "
            f"Received: {weights}"
        ) from error


def create_application(name, image_size, *, channels=3):
    """Builds a network of `keras.applications` as a backbone.

    Args:
        name: Such as `"ResNet50V2"`, which starts from random weights;
            `"ResNet50V2:imagenet"` downloads those of Keras, and
            `"ResNet50V2:FILE.weights.h5"` reads a file of weights without a head.
        image_size: Integer or tuple `(H, W)`.
        channels: 1 or 3.

    Returns:
        An `AdaptedNetwork`.
    """
    name, _, weights = name.partition(":")
    constructor = find_application(name)
    if weights and name.startswith("EfficientNetB"):
        # Its pixel statistics are weights that Keras reads only when it loads them, and
        # a part of its scaling exists only for "imagenet".
        raise ValueError(
            f"{name} cannot take weights without losing its scaling; EfficientNetV2 "
            f"can. Received: {weights}"
        )
    size = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
    options = {"include_top": False, "pooling": "avg", "input_shape": (*size, 3)}
    if not weights:
        network = constructor(weights=None, **options)
    else:
        network = build_with_weights(constructor, weights, options)
    return AdaptedNetwork(network, ApplicationScaling(name), size, channels=channels)
