"""The sizes of Vision Transformers that were published, by name."""

# What all sizes of DINOv2 share.
_DINOV2 = {
    "patch_size": 14,
    "pooling": "class_token",
    "layer_scale": 1.0,
    "position_resizing": "dinov2",
}

VIT_SIZES = {
    "vit_tiny_patch16": {"patch_size": 16, "width": 192, "depth": 12, "heads": 3},
    "vit_small_patch16": {"patch_size": 16, "width": 384, "depth": 12, "heads": 6},
    "vit_base_patch16": {"patch_size": 16, "width": 768, "depth": 12, "heads": 12},
    "vit_large_patch16": {"patch_size": 16, "width": 1024, "depth": 24, "heads": 16},
    "vit_small_patch14": {**_DINOV2, "width": 384, "depth": 12, "heads": 6},
    "vit_base_patch14": {**_DINOV2, "width": 768, "depth": 12, "heads": 12},
    "vit_large_patch14": {**_DINOV2, "width": 1024, "depth": 24, "heads": 16},
    "vit_giant_patch14": {
        **_DINOV2,
        "width": 1536,
        "depth": 40,
        "heads": 24,
        "feed_forward": "swiglu",
    },
    "vit_huge_patch14": {
        "patch_size": 14,
        "width": 1280,
        "depth": 32,
        "heads": 16,
        "pooling": "class_token",
    },
    "vit_huge_patch16": {
        "patch_size": 16,
        "width": 1280,
        "depth": 32,
        "heads": 16,
        "pooling": "class_token",
    },
}
