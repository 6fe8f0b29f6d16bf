"""Thresholds of FlexMatch: high for the classes that are learned, low for others."""

import keras
from keras import ops

from semivit_tf.losses.pseudo_labels import confident

_NEVER = -1.0  # the label of an image of which the network was never sure


@keras.saving.register_keras_serializable(package="semivit_tf")
class CurriculumThreshold(keras.layers.Layer):
    """A threshold for each class, from how many images were confidently put into it.

    For each image the last label is kept of which the network was sure, that is, as
    sure as the highest threshold says. A class that has the share b of the images of
    the largest class has the threshold `threshold` * b / (2 - b). While more images
    have no label than the largest class has, their number takes its place. Images are
    judged by the thresholds from before their batch.

    Args:
        threshold: Float. The highest threshold.
        images: Integer. Images of the source that indices point into.
        shown: Optional integer. How many of these are ever shown; all by default.

    Reference:
        Zhang et al., FlexMatch: Boosting Semi-Supervised Learning with Curriculum
        Pseudo Labeling, 2021.
    """

    # Whoever makes one by name has to say how many images there are.
    remembers_images = True

    def __init__(self, threshold=0.95, images=None, shown=None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if images is None or images < 1:
            raise ValueError(
                "`images` should be the number of images that `index` may point to. "
                f"Received: {images}"
            )
        self.threshold = threshold
        self.images = images
        self.shown = images if shown is None else shown

    def build(self, input_shape):
        self.classes = input_shape[-1]
        # Each replica writes the labels of its own images, and "mean" makes them one.
        self.memory = self.add_weight(
            shape=(self.images,),
            initializer=keras.initializers.Constant(_NEVER),
            trainable=False,
            aggregation="mean",
            dtype="float32",
            name="memory",
        )
        self.replicas = self.add_weight(
            shape=(),
            initializer="ones",
            trainable=False,
            aggregation="sum",
            dtype="float32",
            name="replicas",
        )

    def thresholds(self):
        """Returns the threshold `[K]` of each class."""
        places = ops.cast(ops.round(self.memory), "int32") + 1  # 0 where there is none
        counts = ops.segment_sum(
            ops.ones_like(self.memory), places, num_segments=self.classes + 1
        )[1:]
        unused = self.shown - ops.sum(counts)
        largest = ops.maximum(ops.max(counts), unused)
        share = counts / ops.maximum(largest, 1.0)
        return self.threshold * share / (2.0 - share)

    def judge(self, probabilities):
        """Returns the weights `[U]` of images, and learns nothing from them."""
        labels = ops.argmax(probabilities, axis=-1)
        thresholds = ops.take(self.thresholds(), labels)
        return confident(ops.max(probabilities, axis=-1), thresholds)

    def call(self, probabilities, index=None):
        if index is None:
            raise ValueError(
                "The selection curriculum_threshold should get batches with the "
                "`index` of each unlabelled image, which `load_dataset` gives"
            )
        weight = self.judge(probabilities)
        self.remember(probabilities, index)
        return weight

    def remember(self, probabilities, index):
        """Keeps the labels of the images that the network is sure of."""
        index = ops.cast(index, "int32")
        old = ops.take(self.memory, index)
        labels = ops.cast(ops.argmax(probabilities, axis=-1), "float32")
        sure = ops.max(probabilities, axis=-1) >= self.threshold
        new = ops.where(sure, labels, old)
        self.replicas.assign(1.0)
        # An image is on one replica, so the mean of changes is its share of one.
        changed = ops.scatter_update(self.memory, index[:, None], new) - self.memory
        self.memory.assign(self.memory + changed * self.replicas)

    def compute_output_shape(self, input_shape, index_shape=None):
        return input_shape[:1]

    def get_config(self):
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "images": self.images,
            "shown": self.shown,
        }
