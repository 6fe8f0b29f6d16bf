"""Denoising diffusion: learn to tell the noise in an image, to generate images."""

import dataclasses

import keras
from keras import ops

from semivit_tf.diffusion.latents import draw_latents
from semivit_tf.diffusion.predictions import PREDICTIONS, noised
from semivit_tf.diffusion.schedules import LinearSchedule, NoiseSchedule
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.label_check import (
    checked,
    checked_validation,
    wrong_labels_named,
)
from semivit_tf.methods.moving_teacher import MovingTeacher, twin
from semivit_tf.methods.train_step import Method


@dataclasses.dataclass(frozen=True)
class GrowingMomentum:
    """The momentum min(largest, (1 + n) / (10 + n)) after n updates.

    A short run's average should not be of its initial weights.
    """

    largest: float = 0.9999

    def __call__(self, updates):
        updates = ops.cast(updates, "float32")
        return ops.minimum(self.largest, (1.0 + updates) / (10.0 + updates))


def class_numbers(labels):
    """Returns labels `[B]` or `[B, 1]` as an integer tensor `[B]`."""
    if labels is None or (len(labels.shape) > 1 and labels.shape[-1] != 1):
        received = None if labels is None else f"labels of shape {labels.shape}"
        raise ValueError(
            "A Denoiser with classes should get batches (images, labels), labels being "
            f"class numbers. Received: {received}"
        )
    return ops.reshape(ops.cast(labels, "int32"), (-1,))


@keras.saving.register_keras_serializable(package="semivit_tf")
class Denoiser(MovingTeacher, Method):
    """A network that learns to predict the noise in images of known classes.

    Batches are `(images, labels)`, images `[B, H, W, C]` in [0, 255] and class numbers
    `[B]`; without classes, labels may be missing. `diffusion.sample(model, labels)`
    generates images with the teacher, the moving average of the network.
    `model(noised, times, labels)`, with images in [-1, 1] that have noise added and
    times in [0, 1], returns the noise in them as the teacher sees it. With a
    `latent_scale` it learns latents in place of images, and batches are moments of
    latents, `[B, h, w, 2 c]`; see `diffusion.Latents`.

    Args:
        network: `UViT`, or another network called with `(images, times, labels)`, which
            says its `image_shape` and `num_classes`, the class numbers that it knows.
        num_classes: Integer K, or None for images without classes.
        prediction: `"noise"`, or `"v"`, the velocity, which small networks learn in
            fewer updates.
        label_dropout: Float in [0, 1). Probability that an image is shown without its
            class; guidance needs it. Class number K then means "no class".
        schedule: `LinearSchedule` (the default) or `DiscreteSchedule`.
        latent_scale: Optional float. What latents are multiplied by.
        seed: Optional integer for times, noise and dropped labels.

    References:
        Ho et al., Denoising Diffusion Probabilistic Models, 2020.
        You et al., Diffusion Models and Semi-Supervised Learners Benefit Mutually with
        Few Labels, 2023.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int | None,
        prediction: str = "noise",
        label_dropout: float = 0.15,
        *,
        schedule: NoiseSchedule | None = None,
        latent_scale: float | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        kwargs.setdefault("name", "denoiser")
        super().__init__(**kwargs)
        if prediction not in PREDICTIONS:
            raise ValueError(
                f"`prediction` should be one of: {', '.join(PREDICTIONS)}. "
                f"Received: prediction={prediction!r}"
            )
        if not 0 <= label_dropout < 1:
            raise ValueError(
                "`label_dropout` should be in [0, 1). "
                f"Received: label_dropout={label_dropout}"
            )
        self.num_classes = num_classes
        self.prediction = prediction
        self.label_dropout = label_dropout
        self.schedule = schedule or LinearSchedule()
        self.latent_scale = latent_scale
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._check_classes(network)
        self.student = network
        self.teacher = twin(network, name="teacher")
        self.teacher.trainable = False
        self.image_shape = tuple(network.image_shape)
        self.built = True

    def _check_classes(self, network):
        known = network.num_classes
        least = None
        if self.num_classes is not None:
            least = self.num_classes + self.knows_no_class
        if (known is None) != (least is None) or (known or 0) < (least or 0):
            raise ValueError(
                f"The network should have num_classes={least}"
                f"{', one of which means no class' if self.knows_no_class else ''}. "
                f"Received: num_classes={known}"
            )

    @property
    def knows_no_class(self):
        """Whether images are also learned without a class, as guidance needs it."""
        return self.num_classes is not None and self.label_dropout > 0

    @staticmethod
    def default_teacher():
        return EMATeacher(GrowingMomentum())

    def logged_terms(self):
        return ("student_loss", "teacher_loss")

    # === Answers ===

    def call(self, noised, times, labels=None, training=False):
        network = self.student if training else self.teacher
        noise = self.predicted_noise(network, noised, times, labels, training)
        return ops.cast(noise, self.compute_dtype)

    def predicted_noise(self, network, noised, times, labels=None, training=False):
        """Returns the noise, in float32, that a network sees.

        Args:
            network: The student or the teacher.
            noised: Tensor `[B, H, W, C]`.
            times: Tensor `[B]` in [0, 1].
            labels: Integer tensor `[B]`.
            training: Bool.
        """
        output = self.output_of(network, noised, times, labels, training)
        alpha, sigma = self._coefficients(times)
        _, noise_of = PREDICTIONS[self.prediction]
        return noise_of(ops.cast(noised, "float32"), output, alpha, sigma)

    def output_of(self, network, noised, times, labels, training=False):
        """Returns what a network predicts, noise or velocity, in float32."""
        times = self.schedule.network_time(ops.cast(times, "float32"))
        if self.num_classes is None:
            labels = None
        output = network(noised, times, labels, training=training)
        return ops.cast(output, "float32")

    def predict_step(self, data):
        """Answers `predict((noised, times, labels))`, in float32 in any precision."""
        inputs, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self.predicted_noise(self.teacher, *inputs)

    def compute_output_shape(self, noised, times=None, labels=None):
        return noised

    def _coefficients(self, times):
        alpha, sigma = self.schedule.coefficients(ops.cast(times, "float32"))
        return alpha[:, None, None, None], sigma[:, None, None, None]

    # === Learning ===

    def prepare(self, batch):
        return self.examples(batch, *(self.seed_generator,) * 4)

    def clean(self, images, seed):
        """Returns what noise is added to: images in [-1, 1], or latents, drawn anew."""
        if self.latent_scale is not None:
            return draw_latents(images, self.latent_scale, seed)
        return ops.cast(images, "float32") / 127.5 - 1.0

    def examples(self, batch, time_seed, noise_seed, label_seed, latent_seed):
        """Draws times, noise and dropped labels of a batch.

        Returns:
            Dict of `noised` `[B, H, W, C]`, `time` `[B]`, `target`, what the network
            should predict, and `label` `[B]`, if there are classes.
        """
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
        clean = self.clean(images, latent_seed)
        count = ops.shape(clean)[0]
        times = self.schedule.draw(count, time_seed)
        noise = keras.random.normal(ops.shape(clean), seed=noise_seed)
        coefficients = self._coefficients(times)
        target, _ = PREDICTIONS[self.prediction]
        prepared = {
            "noised": noised(clean, noise, *coefficients),
            "time": times,
            "target": target(clean, noise, *coefficients),
        }
        if self.num_classes is not None:
            drawn = keras.random.uniform((count,), seed=label_seed)
            dropped = drawn < self.label_dropout
            numbers = class_numbers(labels)
            prepared["label"] = ops.where(dropped, self.num_classes, numbers)
        return prepared

    def loss_of(self, network, prepared, training=False):
        """Returns a network's mean squared error over images, pixels and channels."""
        output = self.output_of(
            network,
            prepared["noised"],
            prepared["time"],
            prepared.get("label"),
            training,
        )
        return ops.mean(ops.square(output - prepared["target"]))

    def objective(self, prepared):
        return self.loss_of(self.student, prepared, training=True), {}

    def test_step(self, batch):
        # The same draws for each batch and epoch, so that losses can be compared.
        prepared = self.examples(batch, 0, 1, 2, 3)
        count = ops.shape(prepared["noised"])[0]
        losses = {
            f"{name}_loss": (self.loss_of(network, prepared), count)
            for name, network in (("student", self.student), ("teacher", self.teacher))
            if self._ema_teacher is None or self._ema_teacher.validate in ("both", name)
        }
        answering = "teacher_loss" if "teacher_loss" in losses else "student_loss"
        return self.report({**losses, "loss": losses[answering]})

    # === Data ===

    def fit(self, x=None, y=None, *args, **kwargs):
        if self.num_classes is None:
            return super().fit(x, y, *args, **kwargs)
        with wrong_labels_named():
            if kwargs.get("validation_data") is not None:
                kwargs["validation_data"] = checked_validation(
                    kwargs["validation_data"], self.num_classes
                )
            return super().fit(checked(x, y, self.num_classes), y, *args, **kwargs)

    def get_config(self):
        names = "num_classes prediction label_dropout latent_scale seed"
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "network": keras.saving.serialize_keras_object(self.student),
            "schedule": keras.saving.serialize_keras_object(self.schedule),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in ("network", "schedule"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
