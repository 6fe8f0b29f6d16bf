"""Settings of the task: which images, how many labels, which network."""

import dataclasses
import pathlib

from semivit_tf.config.settings import InputError, Settings, setting

DATASETS = ("csv", "digits", "folder", "idx", "npz")
_PREPARED = "tfds:"


@dataclasses.dataclass(frozen=True)
class DataConfig(Settings):
    """Which images, and which of their labels may be used."""

    dataset: str | None = setting(
        None,
        "Data set: digits, folder, csv, idx, npz, or tfds:<name>; default: what "
        "--data_dir is, digits without it.",
        first=True,
    )
    data_dir: str | None = setting(
        None, "Folder or file of a data set that is read from files.", first=True
    )
    class_names: str | None = setting(
        None, "Names of the classes, with commas, for data that only number them."
    )
    labels_per_class: int | None = setting(
        None,
        "Labelled training images in each class; default: all that have labels.",
        low=1,
        first=True,
    )
    label_fraction: float | None = setting(
        None, "Instead: the labelled share of each class.", low=0.0, high=1.0
    )
    validation_per_class: int = setting(
        0,
        "Further labelled images of each class, to compare and never to learn.",
        low=0,
        first=True,
    )
    labeled_index: str | None = setting(
        None, "Published list of labelled images: CSV with a column Index."
    )
    unlabeled_index: str | None = setting(
        None, "The same for unlabelled ones; default: all others."
    )
    labeled_as_unlabeled: bool = setting(
        False, "Use labelled images without their labels, too."
    )
    skip_bad_images: bool = setting(
        False,
        "Leave out images that cannot be read, instead of refusing to start.",
        identity=False,
    )
    max_pixels: int = setting(
        100_000_000,
        "Pixels of the largest image file that is decoded, in the check, in training "
        "and when served; 100 million take 300 MB.",
        low=1,
        high=2**29 - 1,
        identity=False,
    )
    test_duplicates: str = setting(
        "refuse",
        "Test images that also occur in training: refuse to start, or allow them; "
        "exact means the very same pixels.",
        choices=("refuse", "refuse_exact", "allow"),
        identity=False,
    )
    image_size: int | None = setting(
        None,
        "Height and width that images are resized to; default: as they are, or 224 "
        "where they differ, or without a GPU and with --backbone=auto 64.",
        low=1,
        first=True,
        derived=True,
    )
    augmentation: str = setting("auto", "Family of views: auto, small, photo or none.")
    augmentation_strength: float = setting(
        1.0, "Scales the geometry of the views.", low=0.0
    )
    rand_augment: str | None = setting(
        None,
        "RandAugment as in rand-m9-mstd0.5-inc1, or an empty text for none; default: "
        "that one for photo.",
    )
    erasing: float | None = setting(
        None, "How often a box is erased; default: 0.25.", low=0.0, high=1.0
    )
    central_share: float | None = setting(
        None,
        "Part of an image's side looked at in evaluation and serving; default: 0.875 "
        "for photo up to 224 pixels, else 1.",
        low=0.01,
        high=1.0,
    )
    strong_layer: str | None = setting(
        None, "Layer for the strong view: keras.RandAugment, keras_cv.AugMix ..."
    )

    def usual(self, field):
        if field.name != "dataset":
            return super().usual(field)
        if self.data_dir is None:
            return "digits"
        return {".csv": "csv", ".npz": "npz"}.get(
            pathlib.PurePath(self.data_dir).suffix, "folder"
        )

    def names_of_classes(self):
        """Returns the class names given as a list, or None."""
        if self.class_names is None:
            return None
        return [name.strip() for name in self.class_names.split(",")]

    def __post_init__(self):
        super().__post_init__()
        if self.dataset not in DATASETS and not self.dataset.startswith(_PREPARED):
            raise InputError(
                f"--dataset should be one of: {', '.join(DATASETS)}, "
                f"{_PREPARED}<name>. Received: {self.dataset!r}"
            )
        counted = (self.labels_per_class, self.label_fraction) != (None, None)
        if self.labeled_index is not None and counted:
            raise InputError(
                "--labeled_index excludes --labels_per_class and --label_fraction"
            )
        names = self.names_of_classes()
        if names is not None and (len(set(names)) < len(names) or "" in names):
            raise InputError(
                "--class_names should be different names with commas between them. "
                f"Received: {self.class_names!r}"
            )
        if self.labels_per_class is not None and self.label_fraction is not None:
            raise InputError(
                "--labels_per_class and --label_fraction exclude each other. Received: "
                f"{self.labels_per_class} and {self.label_fraction}"
            )


def whole_numbers(flag, text):
    """Returns the numbers of a text such as `"2,2,6,2"` as a tuple."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(
            f"--{flag} should be positive whole numbers with commas between them. "
            f"Received: {text!r}"
        )
    return tuple(int(part) for part in parts)


_TWO_STREAMS = ("patch_size", "width", "heads", "depths", "widths")
AUTO = "auto"  # the backbone that follows from images and device


@dataclasses.dataclass(frozen=True)
class BackboneConfig(Settings):
    """Which network turns images into features."""

    backbone: str = setting(
        AUTO,
        "vit, convnext, resnet, wide_resnet, conformer, semiformer, a published size "
        "such as vit_base_patch16, resnet50 or semiformer_small, "
        "keras_applications:<name>, such as keras_applications:ResNet50V2, or "
        "keras_hub:<preset>, a name or a folder, or keras:<file.keras>, a saved model; "
        "auto: a ViT that fits the images.",
        first=True,
    )
    patch_size: int | None = setting(
        None, "ViT, two streams: pixels on a side of a patch.", low=1
    )
    width: int | None = setting(None, "ViT, two streams: channels of a token.", low=1)
    depth: int | None = setting(None, "ViT: number of transformer blocks.", low=1)
    heads: int | None = setting(None, "ViT, two streams: attention heads.", low=1)
    registers: int | None = setting(
        None,
        "ViT: learned tokens that belong to no patch; DINOv2 has 0 or 4.",
        low=0,
    )
    pooling: str | None = setting(
        None,
        "ViT, KerasHub: features from all patches or the first token; stage 1 by dino "
        "always takes the first token.",
        choices=("mean", "class_token"),
    )
    position_embedding: str | None = setting(
        None,
        "ViT: position table; default: learned; stage 1 by mae always has sincos. "
        "Semiformer: default: none.",
        choices=("learned", "sincos"),
    )
    depths: str | None = setting(
        None, "Not ViT: blocks of each stage, with commas, as in 3,3,9,3."
    )
    widths: str | None = setting(
        None, "Not ViT: channels of each stage, as in 96,192,384,768."
    )
    stem_patch: int | None = setting(
        None, "ConvNeXt: pixels on a side of the stem's patch; default: 4.", low=1
    )
    stem_width: int | None = setting(
        None, "Residual networks, two streams: channels of the stem.", low=1
    )
    stem_stride: int | None = setting(
        None,
        "ResNet, two streams: 4 for photographs, 1 or 2 for small images; default: 4.",
        low=1,
    )
    conv_stream: str | None = setting(
        None,
        "Semiformer: the convolutional stream; default: resnet.",
        choices=("resnet", "conv_mixer"),
    )
    separate: bool = setting(
        False, "Semiformer: the two streams tell each other nothing."
    )
    synchronized: bool = setting(
        False, "Batch norm: replicas normalise by the images of all of them."
    )
    pixel_scaling: str | None = setting(
        None,
        "Saved model: what it expects in place of pixels up to 255: those (own), 0 to "
        "1 (unit), -1 to 1 (signed), or normalised ones (imagenet); default: own, if "
        "it has a layer that scales.",
        choices=("own", "unit", "signed", "imagenet"),
    )
    rematerialize: bool = setting(
        False,
        "ViT: compute each block twice in training instead of keeping all that is in "
        "it.",
        identity=False,
    )
    init_from: str | None = setting(
        None,
        "File of weights that the first training stage starts from, or where nothing "
        "is trained, that are tested and served: .pth, .safetensors or .npz, as "
        "published.",
        first=True,
    )
    init_network: str | None = setting(
        None,
        "Which network of that file, by its key, such as student; default: the one "
        "that predicts best.",
    )
    init_source_grid: str | None = setting(
        None,
        "Rows and columns of that file's position table, as in 14,14, where its length "
        "does not say them.",
    )
    init_allow_missing: bool = setting(
        False, "Leave weights that the file does not hold as they are at the start."
    )
    init_allow_unexpected: bool = setting(
        False, "Leave out weights of the file that nothing knows."
    )

    def __post_init__(self):
        super().__post_init__()
        told = self.init_options()
        if told and self.init_from is None:
            raise InputError(f"--init_{next(iter(told))} needs --init_from")
        if self.backbone == AUTO and self.init_from is not None:
            raise InputError(
                "--init_from needs --backbone, such as vit_base_patch16: the network "
                "whose weights the file holds"
            )
        needed = {
            "vit": ("patch_size", "width", "depth", "heads"),
            "convnext": ("depths", "widths"),
            "resnet": ("depths", "widths"),
            "wide_resnet": ("depths", "widths"),
            "conformer": _TWO_STREAMS,
            "semiformer": _TWO_STREAMS,
        }
        sizes = needed.get(self.backbone, ())
        missing = [f"--{name}" for name in sizes if getattr(self, name) is None]
        if missing:
            raise InputError(
                f"--backbone={self.backbone} also needs {', '.join(missing)}"
            )
        self.overrides()

    def overrides(self):
        """Returns the constructor arguments that were given."""
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del given["backbone"]
        given = {n: v for n, v in given.items() if not n.startswith("init_")}
        given = {n: v for n, v in given.items() if v is not None and v is not False}
        for name in {"depths", "widths"} & set(given):
            given[name] = whole_numbers(name, given[name])
        return given

    def init_options(self):
        """Returns what was said of `init_from`, by the names of `load_published`."""
        given = {
            "network": self.init_network,
            "source_grid": self.init_source_grid,
            "allow_missing": self.init_allow_missing,
            "allow_unexpected": self.init_allow_unexpected,
        }
        given = {name: value for name, value in given.items() if value}
        if "source_grid" in given:
            grid = whole_numbers("init_source_grid", given["source_grid"])
            if len(grid) != 2:
                raise InputError(
                    "--init_source_grid should be rows and columns, as in 14,14. "
                    f"Received: {given['source_grid']!r}"
                )
            given["source_grid"] = grid
        return given
