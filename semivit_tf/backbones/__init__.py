"""Image to features: networks that know no labels, by name or by size."""

import inspect

import keras

from semivit_tf.backbones.conformer import CONFORMER_SIZES, Conformer
from semivit_tf.backbones.convnext import CONVNEXT_SIZES, ConvNeXt
from semivit_tf.backbones.keras_applications import create_application
from semivit_tf.backbones.keras_hub import load_preset
from semivit_tf.backbones.resnet import (
    RESNET_SIZES,
    WIDE_RESNET_SIZES,
    ResNet,
    WideResNet,
)
from semivit_tf.backbones.saved_network import load_saved
from semivit_tf.backbones.semiformer import SEMIFORMER_SIZES, SemiformerBackbone
from semivit_tf.backbones.vit import ViT
from semivit_tf.backbones.vit_sizes import VIT_SIZES

# Each family's constructor, and the sizes that were published.
FAMILIES: dict[str, tuple] = {
    "vit": (ViT, VIT_SIZES),
    "convnext": (ConvNeXt, CONVNEXT_SIZES),
    "resnet": (ResNet, RESNET_SIZES),
    "wide_resnet": (WideResNet, WIDE_RESNET_SIZES),
    "conformer": (Conformer, CONFORMER_SIZES),
    "semiformer": (SemiformerBackbone, SEMIFORMER_SIZES),
}
# Constructors for names with a prefix, such as "keras_applications:ResNet50V2".
ELSEWHERE = {
    "keras_applications": create_application,
    "keras_hub": load_preset,
    "keras": load_saved,
}


def find_family(name):
    """Returns the family that a backbone's name belongs to, such as `"vit"`."""
    for family, (_, sizes) in FAMILIES.items():
        if name == family or name in sizes:
            return family
    source, _, rest = name.partition(":")
    if source in ELSEWHERE and rest:
        return source
    known = [name for f, (_, sizes) in FAMILIES.items() for name in (f, *sorted(sizes))]
    known += [f"{source}:<name>" for source in ELSEWHERE]
    raise ValueError(
        f"`name` should be one of: {', '.join(known)}. Received: name={name!r}"
    )


def brings_weights(name):
    """Returns whether a backbone comes with weights that it has learned."""
    family, _, rest = name.partition(":")
    if family == "keras_applications":  # NAME, or NAME and which weights
        return ":" in rest
    return family in ELSEWHERE and bool(rest)


def arguments_of(constructor):
    """Returns the names of the arguments, also those handed on to a base class."""
    known, a_class = set(), inspect.isclass(constructor)
    for function in constructor.__mro__ if a_class else [constructor]:
        signature = inspect.signature(function.__init__ if a_class else function)
        _, *parameters = signature.parameters.values()
        kinds = {parameter.name: parameter.kind for parameter in parameters}
        packed = {name for name, kind in kinds.items() if kind.name.startswith("VAR")}
        known |= set(kinds) - packed
        if "args" not in packed:
            break
    return known


def check_arguments(name, constructor, arguments):
    """Refuses arguments that a constructor does not have."""
    known = arguments_of(constructor)
    allowed = known | {"dtype"} if inspect.isclass(constructor) else known
    strange = sorted(set(arguments) - allowed)
    if strange:
        received = ", ".join(f"{key}={arguments[key]!r}" for key in strange)
        raise ValueError(
            f"The arguments of {name} should be of: {', '.join(sorted(known))}. "
            f"Received: {received}"
        )


def create_backbone(name: str, **overrides) -> keras.Model:
    """Builds a backbone by its published name.

    Args:
        name: A published size such as `"vit_base_patch16"` or `"resnet50"`; a family
            such as `"vit"`, with all sizes given in `overrides`; or a network of
            another library, such as `"keras_applications:ResNet50V2"`,
            `"keras_hub:PRESET"` or `"keras:FILE.keras"`.
        **overrides: Constructor arguments, such as `image_size=224`.

    Returns:
        A `keras.Model` from images `[B, H, W, C]` to features `[B, D]`, or for a
        network of two streams to a tuple of both features, the convolutional one first.
    """
    family = find_family(name)
    if family in ELSEWHERE:
        create = ELSEWHERE[family]
        check_arguments(name, create, overrides)
        return create(name.partition(":")[2], **{"image_size": 224, **overrides})
    constructor, sizes = FAMILIES[family]
    check_arguments(name, constructor, overrides)
    published = {"image_size": 224, **sizes[name]} if name in sizes else {}
    return constructor(**{**published, **overrides})
