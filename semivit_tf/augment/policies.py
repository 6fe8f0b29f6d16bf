"""Policies: what makes a weak, a strong or a labelled view of an image.

`photo` is what the papers do to photographs: crops, mirroring, colour, RandAugment,
boxes of noise. `small` suits small images whose content fills the frame (digits,
signs, garments): nothing is mirrored or cropped away. `none` leaves images as they are.
A strong view may also be made by a layer of Keras or keras-cv.
"""

import math

import tensorflow as tf

from semivit_tf.augment.color_jitter import ColorJitter
from semivit_tf.augment.crop import CentralCrop, RandomResizedCrop
from semivit_tf.augment.erasing import RandomErasing
from semivit_tf.augment.layers_by_name import call_layer, layer_by_name
from semivit_tf.augment.rand_augment import RandAugment
from semivit_tf.augment.random_affine import RandomAffine
from semivit_tf.augment.randomness import derive
from semivit_tf.layers.pixel_normalization import default_pixel_statistics


class Policy:
    """A framing and a sequence of operations, with draws from the image's key.

    `view` makes views one by one, `finish` works on batches of them.

    Args:
        framing: What chooses, cuts and resizes a box; see `CentralCrop`.
        operations: Functions of an image and a key that return the image changed.
        erasing: Optional `RandomErasing`.
        layer: Optional Keras layer that is called on the batch last. Such a layer has
            random state of its own, so a resumed run does not repeat its draws.
    """

    def __init__(self, framing, operations=(), erasing=None, layer=None):
        self.framing = framing
        self.operations = tuple(operations)
        self.erasing = erasing
        self.layer = layer

    def box(self, height, width, key):
        """Returns the box `(top, left, height, width)` that the view will show."""
        return self.framing.box(height, width, derive(key, 0))

    def view(self, image, box, key):
        """Makes the view of a box of an image.

        Args:
            image: uint8 array `[H, W, C]`.
            box: What `box` returned, in the image's coordinates.
            key: The image's key.

        Returns:
            uint8 array `[*framing.size, C]`.
        """
        image = self.framing.cut(image, box, derive(key, 0))
        for number, operation in enumerate(self.operations, start=1):
            image = operation(image, derive(key, number))
        return image

    def finish(self, views, keys):
        """Erases parts of views and calls the layer, in a graph.

        Args:
            views: uint8 tensor `[N, H, W, C]` of what `view` returned.
            keys: uint64 tensor `[N]`.

        Returns:
            Tensor of the same shape; float32 if there is erasing or a layer.
        """
        if self.erasing:
            shape = views.shape
            views = tf.numpy_function(
                self._erase, [views, keys], tf.float32, stateful=False
            )
            views.set_shape(shape)
        if self.layer:
            views = call_layer(self.layer, tf.cast(views, tf.float32))
        return views

    def _erase(self, views, keys):
        number = len(self.operations) + 1
        return self.erasing(views, [derive(key, number) for key in keys])

    def __call__(self, image, key):
        """Makes the view of an image, without the layer."""
        view = self.view(image, self.box(*image.shape[:2], key), key)
        return self._erase(view[None], [key])[0] if self.erasing else view


def _erasing(probability, shape):
    if probability == 0:
        return None
    return RandomErasing(probability, *default_pixel_statistics(shape[2]))


def photo_policies(
    shape, strength=1.0, rand_augment="rand-m9-mstd0.5-inc1", erasing=0.25
):
    """Returns the views of photographs, as published for strength 1."""
    size = shape[:2]

    def crop(smallest):
        return RandomResizedCrop(size, area=(smallest**strength, 1.0))

    drawn = [RandAugment(rand_augment)] if rand_augment else []
    strong = Policy(crop(0.08), drawn, _erasing(erasing, shape))
    return {
        "pretrain": Policy(crop(0.2)),
        "labeled": strong,
        "weak": Policy(crop(0.08), [ColorJitter(0.4 * strength)]),
        "strong": strong,
    }


def small_policies(shape, strength=1.0, rand_augment=None, erasing=0.25):
    """Returns the views of small images: gentle geometry, no mirroring."""
    side = min(shape[:2])
    framing = CentralCrop(shape[:2])

    def affine(share):
        amount = strength * share
        return RandomAffine(
            rotation=20 * amount,
            shift=max(0.06, 0.6 / side) * amount,
            scale=0.15 * amount,
            shear=0.2 * amount,
        )

    strong = [affine(1.0), ColorJitter(0.4)]
    if rand_augment:
        strong.append(RandAugment(rand_augment))
    return {
        "pretrain": Policy(framing, [affine(0.3)]),
        "labeled": Policy(framing, [affine(0.6)]),
        "weak": Policy(framing, [affine(0.3)]),
        "strong": Policy(framing, strong, _erasing(erasing, shape)),
    }


def no_policies(shape, strength=1.0, rand_augment=None, erasing=0.0):
    """Returns views that are the image itself."""
    views = ("pretrain", "labeled", "weak", "strong")
    return dict.fromkeys(views, Policy(CentralCrop(shape[:2])))


POLICIES = {"none": no_policies, "photo": photo_policies, "small": small_policies}


def family_for(size):
    """Returns the name of the family that suits images of a size `(H, W)`."""
    return "small" if max(size) <= 64 else "photo"


def create_policies(
    name, shape, *, strength=1.0, rand_augment=None, erasing=None, strong_layer=None
):
    """Builds the `pretrain`, `labeled`, `weak` and `strong` views of a named family.

    Args:
        name: A key of `POLICIES`, or `"auto"`: `small` up to 64 pixels, else `photo`.
        shape: Tuple `(H, W, C)`.
        strength: Float that scales the geometry. On tiny images it matters most: choose
            it on validation data.
        rand_augment: Optional description, see `RandAugment`; "" for none, None for the
            family's default.
        erasing: Optional float. The share of images of which a box is erased.
        strong_layer: Optional name or layer that makes the strong view out of the weak
            one.
    """
    if name == "auto":
        name = family_for(shape[:2])
    if name not in POLICIES:
        known = ", ".join(["auto", *sorted(POLICIES)])
        raise ValueError(
            f"`augmentation` should be one of: {known}. Received: {name!r}"
        )
    if not (strength >= 0 and math.isfinite(strength)):
        raise ValueError(
            f"`strength` should be a number of at least 0. Received: {strength}"
        )
    given = {"rand_augment": rand_augment, "erasing": erasing}
    given = {key: value for key, value in given.items() if value is not None}
    policies = POLICIES[name](shape, strength, **given)
    if strong_layer:
        if isinstance(strong_layer, str):
            strong_layer = layer_by_name(strong_layer)
        weak = policies["weak"]
        policies["strong"] = Policy(weak.framing, weak.operations, layer=strong_layer)
    return policies
