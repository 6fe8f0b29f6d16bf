"""Semi-ViT: the student learns from probabilistically mixed pseudo-labelled images."""

import keras
from keras import ops

from semivit_tf.augment.mixing import probabilistic_pseudo_mixup
from semivit_tf.losses.cross_entropy import soft_target_cross_entropy
from semivit_tf.losses.pseudo_labels import confident
from semivit_tf.methods.semi_supervised import SemiSupervised


@keras.saving.register_keras_serializable(package="semivit_tf")
class SemiViT(SemiSupervised):
    """An EMA teacher labels the weak views; the student learns the mixed strong views.

    A mixed image counts where the more confident of its two sources reaches the
    threshold.

    Args:
        backbone: See `SemiSupervised`; so are the arguments not listed here.
        num_classes: Integer K.
        threshold: Float. The confidence from which a pseudo label is used.
        cutmix_probability: Float. Each unlabelled image's chance of cutmix instead of
            mixup.
        **kwargs: Passed to `SemiSupervised`.

    Reference:
        Cai et al., Semi-supervised Vision Transformers at Scale, 2022.
    """

    def __init__(
        self,
        backbone,
        num_classes=None,
        *,
        threshold=0.7,
        cutmix_probability=0.5,
        **kwargs,
    ):
        kwargs.setdefault("name", "semi_vit")
        super().__init__(backbone, num_classes, **kwargs)
        self.threshold = threshold
        self.cutmix_probability = cutmix_probability

    def unlabeled_loss(self, views):
        images, targets, confidence = probabilistic_pseudo_mixup(
            ops.cast(views["strong"], "float32"),
            views["pseudo_label"],
            views["confidence"],
            self.num_classes,
            label_smoothing=self.student.label_smoothing,
            cutmix_probability=self.cutmix_probability,
            seed=self.seed_generator,
        )
        kept = confident(confidence, self.threshold)

        def loss(images, targets):
            return soft_target_cross_entropy(
                targets, self.student(images, training=True)
            )

        return self.of_kept(kept, loss, images, targets), kept

    def get_config(self):
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "cutmix_probability": self.cutmix_probability,
        }
