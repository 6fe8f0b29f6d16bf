"""Supervised learning with a backbone of two streams: a head each, and their sum."""

import keras
from keras import ops

from semivit_tf.layers.stream_heads import StreamHeads
from semivit_tf.methods.classifier import (
    Classifier,
    build_features,
    find_image_shape,
    first_kernel,
)

STREAMS = ("convolutional", "transformer")


@keras.saving.register_keras_serializable(package="semivit_tf")
class TwoStreamClassifier(Classifier):
    """A `Classifier` whose backbone maps images to a tuple of two features.

    Each stream has a head. The loss is the mean over both; what answers, is validated
    and served, is the sum of their logits. Validation tells the accuracy of each, too.
    The arguments are those of `Classifier`; the convolutional feature comes first.

    Reference:
        Peng et al., Conformer: Local Features Coupling Global Representations, 2021.
    """

    streams = STREAMS

    def make_head(self):
        return StreamHeads(
            self.num_classes,
            self.streams,
            kernel_initializer=first_kernel(),
            dtype=self.dtype_policy,
            name="head",
        )

    def check_features(self, features):
        if not isinstance(features, (tuple, list)) or [
            len(feature.shape) for feature in features
        ] != [2, 2]:
            raise ValueError(
                "`backbone` should map images [B, H, W, C] to two features [B, D]. "
                f"Received a backbone with output {features}"
            )

    def call(self, images, training=False):
        scores = self.scores(images, training=training)
        return ops.cast(ops.sum(scores, axis=1), self.compute_dtype)

    def scores(self, images, training=False):
        """Returns the scores of both streams: float32 `[B, 2, K]`."""
        scores = self.head(self.backbone(images, training=training))
        return ops.cast(scores, "float32")


def create_classifier(backbone, num_classes, *, image_shape=None, **options):
    """Builds a `TwoStreamClassifier` on a backbone that gives two features.

    Returns:
        That, or a `Classifier` on any other backbone.
    """
    shape = find_image_shape(backbone, image_shape)
    features = build_features(backbone, shape)
    two = isinstance(features, (tuple, list))
    kind = TwoStreamClassifier if two else Classifier
    return kind(backbone, num_classes, image_shape=image_shape, **options)
