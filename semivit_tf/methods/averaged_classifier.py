"""Supervised learning, and a second network with the moving average of the weights."""

import keras

from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.labeled import LabeledMethod
from semivit_tf.methods.moving_teacher import MovingTeacher, twin
from semivit_tf.methods.two_stream_classifier import create_classifier

# How a student learns from labels by default.
_LEARNING = {"label_smoothing": 0.1, "mixup_alpha": 0.8, "cutmix_alpha": 1.0}


@keras.saving.register_keras_serializable(package="semivit_tf")
class AveragedClassifier(MovingTeacher, LabeledMethod):
    """A `Classifier` that learns from labels, and its moving average, the teacher.

    Batches are those of a `Classifier`. `model(images)` and `predict`
    answer with the teacher; `model.student` and `model.teacher` are plain models.

    Args:
        backbone: `keras.Model` from images to features; or a trained `Classifier`,
            which becomes the student.
        num_classes: Integer K; a `Classifier` has its own.
        label_smoothing: Optional float in [0, 1). Defaults to 0.1, or what the
            `Classifier` has; so do the next two, to 0.8 and 1.0.
        mixup_alpha: Optional float, for the labelled batch. 0: no mixup.
        cutmix_alpha: Optional float, for the labelled batch. 0: no cutmix.
        image_shape: Optional `(H, W, C)`, where the backbone does not state it.
        seed: Optional integer for the mixing.
    """

    answers = "teacher"

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        label_smoothing: float | None = None,
        mixup_alpha: float | None = None,
        cutmix_alpha: float | None = None,
        image_shape: tuple[int, int, int] | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        kwargs.setdefault("name", "averaged_classifier")
        super().__init__(**kwargs)
        learning = {
            "label_smoothing": label_smoothing,
            "mixup_alpha": mixup_alpha,
            "cutmix_alpha": cutmix_alpha,
        }
        given = {name: value for name, value in learning.items() if value is not None}
        if isinstance(backbone, Classifier):
            if num_classes not in (None, backbone.num_classes):
                raise ValueError(
                    "`num_classes` should be that of the classifier, "
                    f"{backbone.num_classes}. Received: num_classes={num_classes}"
                )
            self.student = backbone
            self.student.learn_with(**given)
        else:
            self.student = create_classifier(
                backbone,
                num_classes,
                **{**_LEARNING, **given},
                image_shape=image_shape,
                seed=seed,
                dtype=self.dtype_policy,
                name="student",
            )
        self.teacher = twin(self.student, name="teacher")
        self.teacher.trainable = False
        self.num_classes = self.student.num_classes
        self.image_shape = self.student.image_shape
        self.seed = seed
        self.built = True

    def networks(self):
        return {"student": self.student, "teacher": self.teacher}

    def is_tested(self, name):
        chosen = self._ema_teacher.validate if self._ema_teacher else "both"
        return chosen in ("both", name)

    def call(self, inputs, training=False):
        images = inputs["image"] if isinstance(inputs, dict) else inputs
        network = self.student if training else self.networks()[self.answers]
        return network(images, training=training)

    def compute_output_shape(self, input_shape):
        shape = input_shape["image"] if isinstance(input_shape, dict) else input_shape
        return self.teacher.compute_output_shape(shape)

    def prepare(self, batch):
        return self.student.examples(*self.unpack(batch))

    def mean_labeled_loss(self, prepared, scores=None):
        """Returns the student's mean loss on the labelled images."""
        return self.student.mean_labeled_loss(prepared, self.loss_function, scores)

    def objective(self, prepared):
        return self.mean_labeled_loss(prepared), {}

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.student),
            **{name: getattr(self.student, name) for name in _LEARNING},
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**config)
