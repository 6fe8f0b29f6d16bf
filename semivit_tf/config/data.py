"""Settings of the task: which images, and how many labels."""

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
    labels: str | None = setting(
        None,
        "Tables of labels filled in by hand, as --stages=label_next asks for them: CSV "
        "with the columns path and label; several with commas.",
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

    def tables_of_labels(self):
        """Returns the paths of `labels` as a list."""
        return [path.strip() for path in (self.labels or "").split(",") if path.strip()]

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
