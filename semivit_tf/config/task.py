"""Settings of the task: which images, how many labels, which network."""

import dataclasses

from semivit_tf.config.settings import InputError, Settings, setting


@dataclasses.dataclass(frozen=True)
class DataConfig(Settings):
    """Which images, and which of their labels may be used."""

    dataset: str = setting("digits", "Data set by name: digits.")
    data_dir: str | None = setting(
        None, "Folder of a data set that is read from files."
    )
    labels_per_class: int | None = setting(
        None, "Labelled training images in each class.", low=1
    )
    label_fraction: float | None = setting(
        None, "Instead: the labelled share of each class.", low=0.0, high=1.0
    )
    validation_per_class: int = setting(
        0,
        "Further labelled images of each class, to compare and never to learn.",
        low=0,
    )
    image_size: int | None = setting(
        None,
        "Height and width that images are resized to; default: as they are.",
        low=1,
    )
    augmentation: str = setting("auto", "Family of views: auto, small, photo or none.")
    augmentation_strength: float = setting(
        1.0, "Scales the geometry of the views.", low=0.0
    )
    strong_layer: str | None = setting(
        None, "Layer for the strong view: keras.RandAugment, keras_cv.AugMix ..."
    )

    def __post_init__(self):
        super().__post_init__()
        if self.labels_per_class is not None and self.label_fraction is not None:
            raise InputError(
                "--labels_per_class and --label_fraction exclude each other. Received: "
                f"{self.labels_per_class} and {self.label_fraction}"
            )


@dataclasses.dataclass(frozen=True)
class BackboneConfig(Settings):
    """Which network turns images into features."""

    backbone: str = setting("vit", "vit, or a published size such as vit_base_patch16.")
    patch_size: int | None = setting(None, "Pixels on a side of a patch.", low=1)
    width: int | None = setting(None, "Channels of a token.", low=1)
    depth: int | None = setting(None, "Number of transformer blocks.", low=1)
    heads: int | None = setting(None, "Attention heads.", low=1)
    pooling: str | None = setting(
        None, "Features from the patches or one token.", choices=("mean", "class_token")
    )
    position_embedding: str = setting(
        "learned",
        "Position table of stages 2 and 3; stage 1 always has sincos.",
        choices=("learned", "sincos"),
    )

    def __post_init__(self):
        super().__post_init__()
        sizes = ("patch_size", "width", "depth", "heads")
        missing = [f"--{name}" for name in sizes if getattr(self, name) is None]
        if self.backbone == "vit" and missing:
            raise InputError(f"--backbone=vit also needs {', '.join(missing)}")

    def overrides(self):
        """Returns the constructor arguments that were given."""
        names = ("patch_size", "width", "depth", "heads", "pooling")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}
