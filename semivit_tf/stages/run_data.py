"""The data of a run: found, without bad images, split, and with its views."""

from semivit_tf.data.dataset import Dataset
from semivit_tf.data.hand_labels import with_hand_labels
from semivit_tf.data.label_splits import split_parts
from semivit_tf.data.loaders import load_parts


def find_images(config, folder, pipeline):
    """Returns the `Parts` that the settings name, without images found to be bad.

    Args:
        config: `Config`.
        folder: `RunFolder`, which may hold the results of an earlier check.
        pipeline: Sequence of `Stage`.
    """
    settings = config.data
    parts = load_parts(settings.dataset, settings.data_dir, settings.names_of_classes())
    tables = settings.tables_of_labels()
    if tables:
        parts = with_hand_labels(parts, tables)
    for stage in pipeline:
        if stage.kind.settles_data:
            parts = stage.kind.without_bad_images(
                parts, folder.stage(stage.name), settings.max_pixels
            )
    return parts


def split_and_batch(config, parts):
    """Returns the `Dataset` of the parts that were found, split as the settings say."""
    settings = config.data
    split = split_parts(
        parts,
        labels_per_class=settings.labels_per_class,
        label_fraction=settings.label_fraction,
        validation_per_class=settings.validation_per_class,
        labeled_index=settings.labeled_index,
        unlabeled_index=settings.unlabeled_index,
        seed=config.run.seed,
    )
    return dataset_of(config, parts, split)


def dataset_of(config, parts, split, **options):
    """Returns the `Dataset` of parts and their split, as the settings say.

    Args:
        config: `Config`.
        parts: `Parts`.
        split: `LabelSplit` of the training images.
        **options: Those of `Dataset` that are different.
    """
    settings = config.data
    usual = dict(
        seed=config.run.seed,
        image_size=settings.image_size,
        labeled_as_unlabeled=settings.labeled_as_unlabeled,
        central_share=settings.central_share,
        augmentation=settings.augmentation,
        strength=settings.augmentation_strength,
        rand_augment=settings.rand_augment,
        erasing=settings.erasing,
        strong_layer=settings.strong_layer,
        max_pixels=settings.max_pixels,
    )
    return Dataset(parts, split, **{**usual, **options})
