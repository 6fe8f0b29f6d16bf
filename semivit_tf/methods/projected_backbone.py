"""A backbone under a head that is thrown away after pre-training."""

import keras
from keras import ops

from semivit_tf.methods.classifier import build_features, find_image_shape


@keras.saving.register_keras_serializable(package="semivit_tf")
class ProjectedBackbone(keras.Model):
    """Head on backbone, for images of one size or of several.

    Args:
        backbone: `keras.Model` from images `[B, H, W, C]` to features `[B, D]`.
        head: `ProjectionHead`.
    """

    def __init__(self, backbone, head, **kwargs):
        kwargs.setdefault("autocast", False)  # pixels reach the backbone unrounded
        super().__init__(**kwargs)
        self.backbone = backbone
        self.head = head
        self.image_shape = find_image_shape(backbone)
        self.build((None, *self.image_shape))

    def build(self, input_shape):
        features = build_features(self.backbone, self.image_shape)
        if not self.head.built:
            self.head.build(features.shape)
        self.built = True

    def call(self, images, training=False):
        features = self.backbone(images, training=training)
        return self.head(features, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.head.outputs)

    def project(self, groups, training=False):
        """Projects groups of crops, each group of images of one size.

        Every group goes through the backbone once, all features through the head
        together.

        Args:
            groups: List of tensors `[B, N, H, W, C]`.
            training: Bool.

        Returns:
            Tensor `[B, V, K]`, V being the sum of all N; in the groups' order.
        """
        counts = [crops.shape[1] for crops in groups]
        features = [
            self.backbone(ops.reshape(crops, (-1, *crops.shape[2:])), training=training)
            for crops in groups
        ]
        features = [
            ops.reshape(part, (-1, count, part.shape[-1]))
            for part, count in zip(features, counts, strict=True)
        ]
        return self.head(ops.concatenate(features, axis=1), training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "head": keras.saving.serialize_keras_object(self.head),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in ("backbone", "head"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
