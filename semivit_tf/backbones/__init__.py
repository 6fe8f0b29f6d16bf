"""Image to features: networks that know no labels, by name or by size."""

from semivit_tf.backbones.vit import VIT_SIZES, ViT

BACKBONES = {name: ViT for name in VIT_SIZES}


def create_backbone(name, **overrides):
    """Builds a backbone by its published name.

    Args:
        name: A key of `BACKBONES`, such as `"vit_base_patch16"`, or `"vit"` for
            a ViT whose sizes are all given in `overrides`.
        **overrides: Constructor arguments, such as `image_size=224`.

    Returns:
        A `keras.Model` from images `[B, H, W, C]` to features `[B, D]`.
    """
    if name == "vit":
        return ViT(**overrides)
    if name not in BACKBONES:
        known = ", ".join(["vit", *sorted(BACKBONES)])
        raise ValueError(f"`name` should be one of: {known}. Received: name={name!r}")
    return BACKBONES[name](**{"image_size": 224, **VIT_SIZES[name], **overrides})
