"""Self-distillation without labels: all crops of an image should get one answer."""

from collections.abc import Callable

import keras
from keras import ops

from semivit_tf.layers.projection_head import ProjectionHead
from semivit_tf.losses.self_distillation import (
    centered_probabilities,
    entropy,
    other_view_pairs,
    view_cross_entropy,
)
from semivit_tf.methods.ema_teacher import EMATeacher, moving_average
from semivit_tf.methods.moving_teacher import MovingTeacher, twin
from semivit_tf.methods.projected_backbone import ProjectedBackbone
from semivit_tf.methods.train_step import Method


@keras.saving.register_keras_serializable(package="semivit_tf")
class DINO(MovingTeacher, Method):
    """A student predicts from any crop what its teacher says about another, larger one.

    Batches are dicts of `global` `[B, 2, H, W, C]`, crops that show much of an image,
    and optionally `local` `[B, V, h, w, C]`, smaller ones that show little; alone or
    with labels, which are not looked at. `model(images)` returns the teacher's
    features; after training, `model.teacher_backbone` is what stays.

    Logged besides `loss`, to see a collapse: `teacher_entropy`, of the teacher's mean
    answer to the whole batch (near 0: one answer to everything), and
    `view_divergence`, the Kullback-Leibler divergence of the student's view from the
    teacher's (near 0 as well: all answers are the same).

    Args:
        backbone: `keras.Model` from images to features. For local crops it takes images
            of more than one size, as a `ViT` does. With `pooling="class_token"` and a
            drop path of 0.1 it is the published encoder.
        outputs: Integer K. Prototypes that images are compared with.
        hidden_width: See `ProjectionHead`; so are the next two.
        bottleneck_width: Integer.
        normalize_last_layer: Bool.
        student_temperature: Float.
        teacher_temperature: Float, or a schedule: from the number of updates done to
            the temperature.
        center_momentum: Float in [0, 1], of the centre: the moving average of the
            teacher's outputs, which is subtracted from them.
        frozen_updates: Integer. The first updates, in which the last layer gets no
            gradient. It still decays, unless the optimizer is by `layer_wise_adamw`.

    Reference:
        Caron et al., Emerging Properties in Self-Supervised Vision Transformers, 2021.
    """

    def __init__(
        self,
        backbone: keras.Model,
        *,
        outputs: int = 65536,
        hidden_width: int = 2048,
        bottleneck_width: int = 256,
        normalize_last_layer: bool = True,
        student_temperature: float = 0.1,
        teacher_temperature: float | Callable = 0.04,
        center_momentum: float = 0.9,
        frozen_updates: int = 0,
        **kwargs,
    ):
        kwargs.setdefault("name", "dino")
        super().__init__(**kwargs)
        for name, value in (
            ("student_temperature", student_temperature),
            ("teacher_temperature", teacher_temperature),
        ):
            if not callable(value) and value <= 0:
                raise ValueError(f"`{name}` should be positive. Received: {value}")
        if not 0 <= center_momentum <= 1:
            raise ValueError(
                f"`center_momentum` should be in [0, 1]. Received: {center_momentum}"
            )
        self.outputs = outputs
        self.hidden_width = hidden_width
        self.bottleneck_width = bottleneck_width
        self.normalize_last_layer = normalize_last_layer
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.center_momentum = center_momentum
        self.frozen_updates = frozen_updates
        head = ProjectionHead(
            outputs,
            hidden_width=hidden_width,
            bottleneck_width=bottleneck_width,
            normalize_last_layer=normalize_last_layer,
            dtype=self.dtype_policy,
            name="head",
        )
        shared = {"dtype": self.dtype_policy}
        self.student = ProjectedBackbone(backbone, head, name="student", **shared)
        self.teacher = twin(self.student, name="teacher")
        self.teacher.trainable = False
        self.image_shape = self.student.image_shape
        # `mean`: what the replicas assign is averaged.
        state = {"shape": (outputs,), "initializer": "zeros", "trainable": False}
        self.center = self.add_weight(**state, aggregation="mean", name="center")
        self.center_sum = self.add_weight(
            **state, aggregation="mean", name="center_sum"
        )
        self.built = True

    def logged_terms(self):
        return ("teacher_entropy", "view_divergence")

    def summaries(self):
        return {"teacher_entropy": entropy}

    @staticmethod
    def default_teacher():
        return EMATeacher(0.996)

    @property
    def student_backbone(self):
        """The network that is trained, without its head."""
        return self.student.backbone

    @property
    def teacher_backbone(self):
        """The network whose features are used, without its head."""
        return self.teacher.backbone

    def call(self, inputs, training=False):
        images = inputs["global"][:, 0] if isinstance(inputs, dict) else inputs
        network = self.student if training else self.teacher
        return network.backbone(images, training=training)

    def compute_output_shape(self, input_shape):
        if isinstance(input_shape, dict):
            batch, _, *image = input_shape["global"]
            input_shape = (batch, *image)
        return self.teacher_backbone.compute_output_shape(input_shape)

    def distillation(self, crops, training=False):
        """Compares the student's answers with the teacher's.

        Args:
            crops: Dict of `global` and perhaps `local`.
            training: Bool.

        Returns:
            Tuple `(terms, mean)`: a dict of what is logged, scalars but for
            `teacher_entropy`, which is the distribution `[K]` to take it of; and the
            teacher's mean output `[K]`, with which the centre moves.
        """
        groups = [crops[name] for name in ("global", "local") if name in crops]
        student = self.student.project(groups, training=training)  # [B, 2 + V, K]
        teacher = self.teacher.project(groups[:1])  # [B, 2, K]
        teacher = ops.cast(teacher, "float32")
        temperature = self.at_this_update(self.teacher_temperature)
        targets = centered_probabilities(teacher, self.center, temperature)
        losses = view_cross_entropy(targets, student, self.student_temperature)
        pairs = other_view_pairs(teacher.shape[1], student.shape[1])
        loss = ops.mean(ops.sum(losses * pairs, axis=(1, 2))) / pairs.sum()
        terms = {
            "loss": loss,
            "teacher_entropy": ops.mean(targets, axis=(0, 1)),
            "view_divergence": loss - ops.mean(entropy(targets)),
        }
        return terms, ops.mean(teacher, axis=(0, 1))

    def prepare(self, batch):
        return keras.utils.unpack_x_y_sample_weight(batch)[0]

    def objective(self, crops):
        terms, mean = self.distillation(crops, training=True)
        self.center_sum.assign_add(mean)
        return terms.pop("loss"), {name: (term, 1.0) for name, term in terms.items()}

    def first_updates(self):
        """Returns after how many updates a variable learns, by its id."""
        last = self.student.head.last_layer.trainable_variables
        return {id(variable): self.frozen_updates for variable in last}

    def change_gradients(self, gradients, variables):
        if not self.frozen_updates:
            return gradients
        last = self.first_updates()
        frozen = self.updates() < self.frozen_updates
        return [
            ops.where(frozen, 0.0, gradient) if id(variable) in last else gradient
            for gradient, variable in zip(gradients, variables, strict=True)
        ]

    def after_update(self, updated):
        super().after_update(updated)
        # The centre moves once an update, by the mean over all accumulated steps.
        steps = self.optimizer.gradient_accumulation_steps or 1
        mean = self.center_sum / (steps * self.batch_parts)
        moved = moving_average(self.center, mean, self.center_momentum)
        self.center.assign(ops.where(updated > 0, moved, self.center))
        self.center_sum.assign(ops.where(updated > 0, 0.0, self.center_sum))

    def pictures(self, images):
        """Shows where the teacher looks.

        Args:
            images: Tensor `[B, H, W, C]`.

        Returns:
            Tensor `[B, H, (1 + heads) W, C]` of pixels in [0, 255]: the image, and how
            much each head's class token attends to each patch; white is the most.
        """
        images = ops.cast(images, "float32")
        looks = ops.cast(self.teacher_backbone.class_attention(images), "float32")
        looks = 255.0 * looks / ops.max(looks, axis=-1, keepdims=True)
        heads, patch = looks.shape[1], self.teacher_backbone.patch_size
        height, width, channels = images.shape[1:]
        rows, columns = height // patch, width // patch
        maps = ops.reshape(looks, (-1, heads, rows, columns))
        maps = ops.repeat(ops.repeat(maps, patch, axis=2), patch, axis=3)
        side_by_side = ops.reshape(
            ops.transpose(maps, (0, 2, 1, 3)), (-1, height, heads * width, 1)
        )
        shown = ops.repeat(side_by_side, channels, axis=-1)
        return ops.concatenate([images, shown], axis=2)

    def test_step(self, batch):
        crops = self.prepare(batch)
        if not isinstance(crops, dict):  # an image is compared with itself
            crops = {"global": ops.stack([crops, crops], axis=1)}
        terms, _ = self.distillation(crops)
        count = ops.shape(crops["global"])[0]
        return self.report({name: (term, count) for name, term in terms.items()})

    def get_config(self):
        names = (
            "outputs hidden_width bottleneck_width normalize_last_layer "
            "student_temperature center_momentum frozen_updates"
        )
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "backbone": keras.saving.serialize_keras_object(self.student_backbone),
            "teacher_temperature": keras.saving.serialize_keras_object(
                self.teacher_temperature
            ),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in ("backbone", "teacher_temperature"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
