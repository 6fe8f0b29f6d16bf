"""Image to features: networks that know no labels, by name or by size."""

import inspect

from semivit_tf.backbones.convnext import CONVNEXT_SIZES, ConvNeXt
from semivit_tf.backbones.vit import VIT_SIZES, ViT

# Each family's constructor, and the sizes that were published.
FAMILIES = {"vit": (ViT, VIT_SIZES), "convnext": (ConvNeXt, CONVNEXT_SIZES)}


def find_family(name):
    """Returns the family that a backbone's name belongs to, such as `"vit"`."""
    for family, (_, sizes) in FAMILIES.items():
        if name == family or name in sizes:
            return family
    known = [name for f, (_, sizes) in FAMILIES.items() for name in (f, *sorted(sizes))]
    raise ValueError(
        f"`name` should be one of: {', '.join(known)}. Received: name={name!r}"
    )


def check_arguments(name, constructor, arguments):
    """Refuses arguments that a constructor does not name."""
    known = inspect.signature(constructor).parameters.values()
    known = {p.name for p in known if p.kind is not p.VAR_KEYWORD} - {"self"}
    strange = set(arguments) - known - {"dtype"}
    if strange:
        received = ", ".join(f"{key}={arguments[key]!r}" for key in sorted(strange))
        raise ValueError(
            f"{name} should be given of: {', '.join(sorted(known))}. "
            f"Received: {received}"
        )


def create_backbone(name, **overrides):
    """Builds a backbone by its published name.

    Args:
        name: A published size such as `"vit_base_patch16"` or `"convnext_tiny"`; or
            `"vit"` or `"convnext"`, with all sizes given in `overrides`.
        **overrides: Constructor arguments, such as `image_size=224`.

    Returns:
        A `keras.Model` from images `[B, H, W, C]` to features `[B, D]`.
    """
    constructor, sizes = FAMILIES[find_family(name)]
    check_arguments(name, constructor.__init__, overrides)
    published = {"image_size": 224, **sizes[name]} if name in sizes else {}
    return constructor(**{**published, **overrides})
