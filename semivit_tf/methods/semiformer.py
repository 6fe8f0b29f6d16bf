"""Semiformer: of a network's two streams the convolutional one teaches both."""

from collections.abc import Callable

import keras

from semivit_tf.losses.cross_entropy import (
    smoothed_one_hot,
    soft_target_cross_entropy,
)
from semivit_tf.losses.streams import mean_over_streams
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.parts import set_part
from semivit_tf.methods.selections.fixed_threshold import FixedThreshold
from semivit_tf.methods.semi_supervised import SemiSupervised
from semivit_tf.methods.two_stream_classifier import TwoStreamClassifier


@keras.saving.register_keras_serializable(package="semivit_tf")
class Semiformer(SemiSupervised):
    """The student's convolutional head labels weak views; both heads learn strong ones.

    Labels are of the student in inference mode. The student answers, by the sum of both
    heads' logits; its moving average is kept and does nothing.

    Args:
        backbone: A backbone of two streams; see `SemiSupervised`, also for the
            arguments not listed here.
        num_classes: Integer K.
        threshold: Float. The confidence from which a pseudo label is used.
        labeler: `"convolutional"`, `"transformer"`, `"student"` (the mean of both
            heads' logits), `"mean_probability"`, or another name in `LABELERS`.
        convolutional_weight: Float. Factor on the convolutional head's share of the
            unlabelled loss; 0: it learns from labels only.
        unlabeled_smoothing: Float in [0, 1). Smoothing of pseudo labels.
        unlabeled_weight: Float or schedule.
        label_smoothing: Float in [0, 1). Of labels.
        mixup_alpha: Float, for the labelled batch.
        cutmix_alpha: Float, for the labelled batch.
        **kwargs: Passed to `SemiSupervised`. A `selection` takes the place of the
            threshold.

    Reference:
        Weng et al., Semi-Supervised Vision Transformers, 2022.
    """

    answers = "student"

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        threshold: float = 0.7,
        labeler: str = "convolutional",
        convolutional_weight: float = 1.0,
        unlabeled_smoothing: float = 0.0,
        unlabeled_weight: float | Callable = 4.0,
        label_smoothing: float = 0.1,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        **kwargs,
    ):
        kwargs.setdefault("name", "semiformer")
        set_part(kwargs, "selection", "fixed_threshold", FixedThreshold(threshold))
        super().__init__(
            backbone,
            num_classes,
            labeler=labeler,
            unlabeled_weight=unlabeled_weight,
            label_smoothing=label_smoothing,
            mixup_alpha=mixup_alpha,
            cutmix_alpha=cutmix_alpha,
            **kwargs,
        )
        if not isinstance(self.student, TwoStreamClassifier):
            raise ValueError(
                "`backbone` should have two streams, as semiformer_small has. "
                f"Received: {type(self.student.backbone).__name__}"
            )
        self.convolutional_weight = convolutional_weight
        self.unlabeled_smoothing = unlabeled_smoothing

    @staticmethod
    def default_teacher():
        return EMATeacher(0.99996)

    def targets(self, probabilities):
        labels = keras.ops.argmax(probabilities, axis=-1)
        return smoothed_one_hot(labels, self.num_classes, self.unlabeled_smoothing)

    def unlabeled_loss(self, targets, scores):
        loss = mean_over_streams(soft_target_cross_entropy, targets, scores)
        if self.convolutional_weight == 1:
            return loss
        convolutional = soft_target_cross_entropy(targets, scores[:, 0])
        return loss + (self.convolutional_weight - 1) * convolutional / 2

    def get_config(self):
        names = ("convolutional_weight", "unlabeled_smoothing")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}
