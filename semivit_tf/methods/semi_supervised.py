"""Learning from labelled and unlabelled images with a student and its teacher."""

import keras
from keras import ops

from semivit_tf.losses.pseudo_labels import hard_pseudo_labels, pseudo_label_quality
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.labeled import LabeledMethod
from semivit_tf.methods.moving_teacher import MovingTeacher, twin


class SemiSupervised(MovingTeacher, LabeledMethod):
    """The step of all methods that learn from `({image, weak, strong}, label)`.

    The loss is the labelled loss plus `unlabeled_weight` times the mean of
    `unlabeled_loss` over all unlabelled images, kept or not. A method overrides
    `unlabeled_loss`, or where its pseudo labels come from.

    The keys of a batch: `image` `[B, H, W, C]`, `weak` and `strong` `[U, H, W, C]`, and
    optionally `unlabeled_label` `[U]`, which is used to report the quality of the
    pseudo labels and never reaches a loss.

    `model(images)` and `predict` answer with the teacher; `model.student` and
    `model.teacher` are plain models.

    Args:
        backbone: `keras.Model` from images to features; or a trained `Classifier`,
            whose head and settings are then kept.
        num_classes: Integer K.
        unlabeled_weight: Float. Weight of the unlabelled loss.
        label_smoothing: Float in [0, 1).
        mixup_alpha: Float, for the labelled batch. 0: no mixup.
        cutmix_alpha: Float, for the labelled batch. 0: no cutmix.
        image_shape: Optional `(H, W, C)`, where the backbone does not state it.
        seed: Optional integer for the mixing.
    """

    def __init__(
        self,
        backbone,
        num_classes=None,
        *,
        unlabeled_weight=5.0,
        label_smoothing=0.1,
        mixup_alpha=0.8,
        cutmix_alpha=1.0,
        image_shape=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(backbone, Classifier):
            if num_classes not in (None, backbone.num_classes):
                raise ValueError(
                    "`num_classes` should be that of the classifier, "
                    f"{backbone.num_classes}. Received: num_classes={num_classes}"
                )
            self.student = backbone
        else:
            self.student = Classifier(
                backbone,
                num_classes,
                label_smoothing=label_smoothing,
                mixup_alpha=mixup_alpha,
                cutmix_alpha=cutmix_alpha,
                image_shape=image_shape,
                seed=seed,
                dtype=self.dtype_policy,
                name="student",
            )
        self.teacher = twin(self.student, name="teacher")
        self.teacher.trainable = False
        self.num_classes = self.student.num_classes
        self.image_shape = self.student.image_shape
        self.unlabeled_weight = unlabeled_weight
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    @staticmethod
    def logged_terms():
        return (
            "labeled_loss",
            "unlabeled_loss",
            "kept",
            "pseudo_label_accuracy",
            "pseudo_label_precision",
            "pseudo_label_recall",
        )

    # === What a method may override ===

    def pseudo_labels(self, views):
        """Returns hard labels `[U]` and confidences `[U]`; by default the teacher's."""
        return hard_pseudo_labels(self.teacher(views["weak"], training=False))

    def unlabeled_loss(self, views):
        """Computes what the student loses on the unlabelled images.

        Args:
            views: Dict of `weak` and `strong` `[U, H, W, C]`, `pseudo_label` `[U]` and
                `confidence` `[U]`.

        Returns:
            Tuple `(loss, kept)` of float32 tensors `[U]`; `loss` is zero where `kept`
            is.
        """
        raise NotImplementedError

    # === Steps ===

    def networks(self):
        return {"student_": self.student, "teacher_": self.teacher}

    def is_tested(self, prefix):
        chosen = self._ema_teacher.validate if self._ema_teacher else "both"
        return chosen == "both" or prefix == f"{chosen}_"

    def call(self, inputs, training=False):
        images = inputs["image"] if isinstance(inputs, dict) else inputs
        network = self.student if training else self.teacher
        return network(images, training=training)

    def compute_output_shape(self, input_shape):
        shape = input_shape["image"] if isinstance(input_shape, dict) else input_shape
        return self.teacher.compute_output_shape(shape)

    def objective(self, batch):
        views, labels = self.unpack(batch)
        labeled = ops.mean(
            self.student.labeled_loss(views["image"], labels, self.loss_function)
        )
        pseudo_label, confidence = self.pseudo_labels(views)
        # The truth, if it is there, stays out of what the loss can see.
        seen = {"weak": views["weak"], "strong": views["strong"]}
        loss, kept = self.unlabeled_loss(
            {**seen, "pseudo_label": pseudo_label, "confidence": confidence}
        )
        unlabeled = ops.mean(loss)
        terms = {
            "labeled_loss": (labeled, 1.0),
            "unlabeled_loss": (unlabeled, 1.0),
            "kept": (ops.mean(kept), 1.0),
        }
        if "unlabeled_label" in views:
            quality = pseudo_label_quality(pseudo_label, views["unlabeled_label"], kept)
            for name, (counted, total) in quality.items():
                share = counted / ops.maximum(total, 1.0)
                terms[f"pseudo_label_{name}"] = (share, total)
        return labeled + self.unlabeled_weight * unlabeled, terms

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.student),
            "unlabeled_weight": self.unlabeled_weight,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**config)
