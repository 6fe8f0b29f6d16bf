"""The crops of an image that self-distillation compares.

Two global ones show much of the image; local ones are smaller and show little. The
families are those of `policies.py`.
"""

from semivit_tf.augment import tone
from semivit_tf.augment.color_jitter import ColorJitter
from semivit_tf.augment.crop import CentralCrop, RandomResizedCrop
from semivit_tf.augment.gaussian_blur import RandomBlur
from semivit_tf.augment.policies import Policy
from semivit_tf.augment.random_affine import RandomAffine
from semivit_tf.augment.sometimes import Sometimes

GLOBAL = ("global1", "global2")


def local_names(count):
    """Returns the names of so many local crops."""
    return tuple(f"local{number}" for number in range(1, count + 1))


def _grey(image, key):
    return tone.grey(image)


def _solarize(image, key):
    return tone.solarize(image, 128)


def photo_crops(size, local_size, split=0.4, strength=1.0):
    """Returns the crops of photographs, as published for strength 1."""

    def crop(size, smallest, largest):
        return RandomResizedCrop(size, area=(smallest**strength, largest**strength))

    jitter = Sometimes(0.8, ColorJitter(0.4, saturation=0.2, hue=0.1))
    colours = [jitter, Sometimes(0.2, _grey)]
    rarely = [Sometimes(0.1, RandomBlur()), Sometimes(0.2, _solarize)]
    return {
        "global1": Policy(crop(size, split, 1.0), [*colours, RandomBlur()]),
        "global2": Policy(crop(size, split, 1.0), [*colours, *rarely]),
        "local": Policy(
            crop(local_size, 0.05, split), [*colours, Sometimes(0.5, RandomBlur())]
        ),
    }


def small_crops(size, local_size, split=0.7, strength=1.0):
    """Returns the crops of small images: most of their content, in its own tones.

    Nothing is mirrored. On digits, jitter of brightness made all answers uniform.
    """

    def crop(size, smallest, largest):
        area = (smallest**strength, largest**strength)
        return RandomResizedCrop(size, area=area, mirrored=0.0)

    operations = [RandomAffine(rotation=10 * strength, shear=0.1 * strength)]
    whole = Policy(crop(size, split, 1.0), operations)
    return {
        "global1": whole,
        "global2": whole,
        "local": Policy(crop(local_size, 0.5 * split, split), operations),
    }


def whole_images(size, local_size, split=1.0, strength=1.0):
    """Returns crops that are the image itself, large and small."""
    whole = Policy(CentralCrop(size))
    local = Policy(CentralCrop(local_size))
    return {"global1": whole, "global2": whole, "local": local}


CROPS = {"none": whole_images, "photo": photo_crops, "small": small_crops}
# Without local crops, the global ones of photographs vary more.
_PHOTO_SPLIT_ALONE = 0.14


def crop_policies(family, size, local_size, local_crops, *, split=None, strength=1.0):
    """Builds the policies `global1`, `global2`, `local1`, `local2`, ... of a family.

    Args:
        family: A key of `CROPS`.
        size: Tuple `(H, W)` of the global crops.
        local_size: Tuple `(h, w)` of the local ones.
        local_crops: Integer. Number of local crops.
        split: Optional float. The share of the image's area that no local crop exceeds
            and every global one has. Defaults to 0.4 for photographs (0.14 without
            local crops), 0.7 for small images.
        strength: Float that scales the geometry.

    Returns:
        Dict of view name to `Policy`.
    """
    if split is None and family == "photo" and not local_crops:
        split = _PHOTO_SPLIT_ALONE
    given = {} if split is None else {"split": split}
    crops = CROPS[family](tuple(size), tuple(local_size), strength=strength, **given)
    local = crops.pop("local")
    return {**crops, **dict.fromkeys(local_names(local_crops), local)}
