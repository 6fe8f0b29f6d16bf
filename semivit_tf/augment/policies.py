"""Which changes make a weak, a strong or a labelled view of an image?

`small` suits small grey or colour images whose content fills the frame (digits, signs,
garments): nothing is mirrored or cropped away. `photo` suits photographs. `none` leaves
images alone. A strong view may also be a layer of Keras or keras-cv.
"""

import inspect
import math

import tensorflow as tf

from semivit_tf.augment.color import ColorJitter
from semivit_tf.augment.erasing import RandomErasing
from semivit_tf.augment.geometry import RandomAffine, RandomFlip, RandomResizedCrop
from semivit_tf.augment.randomness import uniforms
from semivit_tf.layers.pixel_normalization import default_pixel_statistics


class Policy:
    """A sequence of operations on images `[N, H, W, C]`, drawn from their keys.

    Args:
        operations: Objects with `draws` and `__call__(images, draws)`.
    """

    def __init__(self, operations=()):
        self.operations = tuple(operations)

    def __call__(self, images, keys):
        for salt, operation in enumerate(self.operations):
            images = operation(images, uniforms(keys, operation.draws, salt))
        return images


class LayerPolicy:
    """A Keras or keras-cv preprocessing layer as a policy, after another one.

    Such a layer draws from its own state, so a resumed run does not repeat its draws.

    Args:
        layer: Layer on images in [0, 255].
        before: Policy that is applied first.
    """

    def __init__(self, layer, before):
        self.layer = layer
        self.before = before

    def __call__(self, images, keys):
        images = self.before(images, keys)
        if images.shape[-1] != 1:
            return self.layer(images, training=True)
        # Many of these layers are written for colour: a grey image becomes one.
        colour = self.layer(tf.repeat(images, 3, axis=-1), training=True)
        return tf.reduce_mean(colour, axis=-1, keepdims=True)


def _erasing(shape, probability):
    mean, std = default_pixel_statistics(shape[-1])
    return RandomErasing(shape, probability, mean, std)


def small_policies(shape, strength=1.0):
    """Returns the views of small images: gentle geometry, no mirroring."""
    side = min(shape[:2])

    def affine(share):
        amount = strength * share
        return RandomAffine(
            rotation=20 * amount,
            shift=max(0.06, 0.6 / side) * amount,
            scale=0.15 * amount,
            shear=0.2 * amount,
        )

    return {
        "labeled": Policy([affine(0.6)]),
        "weak": Policy([affine(0.3)]),
        "strong": Policy(
            [affine(1.0), ColorJitter(0.4, 0.4, 0.4), _erasing(shape, 0.25)]
        ),
    }


def photo_policies(shape, strength=1.0):
    """Returns the views of photographs: crops, mirroring, colour, boxes of noise."""
    crop = [RandomResizedCrop(shape[:2]), RandomFlip()]
    jitter = ColorJitter(*(min(0.4 * strength, 1.0),) * 3)
    turn = RandomAffine(rotation=15 * strength, shear=0.15 * strength)
    return {
        "labeled": Policy([*crop, jitter, _erasing(shape, 0.25)]),
        "weak": Policy(crop),
        "strong": Policy([*crop, jitter, turn, _erasing(shape, 0.25)]),
    }


def no_policies(shape, strength=1.0):
    """Returns views that are the image itself."""
    return dict.fromkeys(("labeled", "weak", "strong"), Policy())


POLICIES = {"none": no_policies, "photo": photo_policies, "small": small_policies}


def named_layer(name):
    """Returns a preprocessing layer by name, such as `keras_cv.AugMix`."""
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


def create_policies(name, shape, strength=1.0, strong_layer=None):
    """Builds the `labeled`, `weak` and `strong` views of a named family.

    Args:
        name: A key of `POLICIES`, or `"auto"`: `small` up to 64 pixels, else `photo`.
        shape: Tuple `(H, W, C)`.
        strength: Float that scales the geometry. On tiny images it decides: choose it
            on validation data.
        strong_layer: Optional name or layer that makes the strong view out of the weak
            one.
    """
    if name == "auto":
        name = "small" if max(shape[:2]) <= 64 else "photo"
    if name not in POLICIES:
        known = ", ".join(["auto", *sorted(POLICIES)])
        raise ValueError(
            f"`augmentation` should be one of: {known}. Received: {name!r}"
        )
    if not (strength >= 0 and math.isfinite(strength)):
        raise ValueError(f"`strength` should not be negative. Received: {strength}")
    policies = POLICIES[name](shape, strength)
    if strong_layer:
        if isinstance(strong_layer, str):
            strong_layer = named_layer(strong_layer)
        policies["strong"] = LayerPolicy(strong_layer, policies["weak"])
    return policies
