"""Layers of Keras and keras-cv by a name such as `keras_cv.AugMix`."""

import inspect

import tensorflow as tf


def layer_by_name(name):
    """Returns a preprocessing layer for images in [0, 255]."""
    library, _, layer = name.partition(".")
    if library == "keras":
        import keras as module
    elif library == "keras_cv":
        try:
            import keras_cv as module
        except ImportError as error:
            raise ValueError(
                f"{name} needs the package keras-cv: pip install keras-cv"
            ) from error
    else:
        raise ValueError(
            "A layer should be named keras.<Layer> or keras_cv.<Layer>. "
            f"Received: {name!r}"
        )
    found = getattr(module.layers, layer, None)
    if not inspect.isclass(found):
        raise ValueError(f"{library} has no layer named {layer!r}")
    ranged = "value_range" in inspect.signature(found.__init__).parameters
    try:
        return found(**({"value_range": (0, 255)} if ranged else {}))
    except TypeError as error:
        raise ValueError(
            f"{name} needs arguments; pass the layer as an object: {error}"
        ) from error


def call_layer(layer, images):
    """Calls a preprocessing layer on a batch `[N, H, W, C]`, grey or in colour."""
    if images.shape[-1] != 1:
        return layer(images, training=True)
    # Many of these layers take colour images only, so grey ones are repeated.
    colour = layer(tf.repeat(images, 3, axis=-1), training=True)
    return tf.reduce_mean(colour, axis=-1, keepdims=True)
