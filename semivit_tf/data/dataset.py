"""What does `load_dataset` return? Sources, their split, and their batches."""

import numpy as np

from semivit_tf.augment.policies import create_policies
from semivit_tf.data import pipelines
from semivit_tf.data.digits import load_digits
from semivit_tf.data.label_splits import split_labels

# A loader returns the training and the test source.
LOADERS = {"digits": load_digits}


class Dataset:
    """Labelled, unlabelled, validation and test images of one classification task.

    The training streams are endless: pass `steps_per_epoch` to `fit`. `start_step`
    starts any of them where an earlier run stopped.

    Args:
        train_source: Source that the split refers to.
        test_source: Source that is used to report and never to choose.
        split: `LabelSplit`.
        seed: Integer for order and augmentation.
        image_size: Optional integer or `(H, W)`; defaults to the source's.
        augmentation: See `create_policies`.
        strength: Float, likewise.
        strong_layer: Optional name or layer, likewise.
    """

    def __init__(
        self,
        train_source,
        test_source,
        split,
        *,
        seed=0,
        image_size=None,
        augmentation="auto",
        strength=1.0,
        strong_layer=None,
    ):
        self.train_source = train_source
        self.test_source = test_source
        self.split = split
        size = image_size or train_source.image_shape[:2]
        self.image_size = (size, size) if isinstance(size, int) else tuple(size)
        self.image_shape = (*self.image_size, train_source.image_shape[-1])
        policies = create_policies(
            augmentation, self.image_shape, strength, strong_layer
        )
        self._views = pipelines.Views(train_source, self.image_size, policies, seed)

    @property
    def class_names(self):
        """The names of the classes, in the order of the labels."""
        return self.train_source.class_names

    def steps_per_epoch(self, unlabeled_batch_size):
        """Returns how many batches make one pass over the unlabelled images."""
        return max(1, len(self.split.unlabeled) // unlabeled_batch_size)

    def images(self, batch_size, start_step=0):
        """Streams training images without labels: all but the validation images."""
        indices = np.union1d(self.split.labeled, self.split.unlabeled)
        return pipelines.image_batches(
            self._views, indices, batch_size, start_step=start_step
        )

    def labeled(self, batch_size, start_step=0):
        """Streams `(image, label)` batches of the labelled images."""
        return pipelines.labeled_batches(
            self._views, self.split.labeled, batch_size, start_step
        )

    def semi_supervised(self, batch_size, unlabeled_per_labeled=5, start_step=0):
        """Streams `({image, weak, strong, unlabeled_label}, label)` batches."""
        return pipelines.semi_supervised_batches(
            self._views,
            self.split.labeled,
            self.split.unlabeled,
            batch_size,
            unlabeled_per_labeled,
            start_step,
        )

    def validation(self, batch_size=256):
        """Returns one pass over the validation images, or None if there are none."""
        if not len(self.split.validation):
            return None
        return pipelines.evaluation_batches(
            self.train_source, self.split.validation, self.image_size, batch_size
        )

    def test(self, batch_size=256):
        """Returns one pass over the test images."""
        return pipelines.evaluation_batches(
            self.test_source,
            np.arange(len(self.test_source)),
            self.image_size,
            batch_size,
        )


def load_dataset(
    name,
    data_dir=None,
    labels_per_class=None,
    label_fraction=None,
    seed=0,
    *,
    validation_per_class=0,
    **options,
):
    """Loads a data set by name and splits its training images by seed.

    Args:
        name: String. `"digits"`.
        data_dir: Optional path, for data sets that are read from files.
        labels_per_class: See `split_labels`; so are the next three.
        label_fraction: Float.
        seed: Integer.
        validation_per_class: Integer.
        **options: Arguments of `Dataset`, such as `augmentation` or `image_size`.

    Returns:
        A `Dataset`.
    """
    if name not in LOADERS:
        known = ", ".join(sorted(LOADERS))
        raise ValueError(f"`dataset` should be one of: {known}. Received: {name!r}")
    train, test = LOADERS[name](data_dir)
    split = split_labels(
        train.labels,
        train.class_names,
        labels_per_class=labels_per_class,
        label_fraction=label_fraction,
        validation_per_class=validation_per_class,
        seed=seed,
    )
    return Dataset(train, test, split, seed=seed, **options)
