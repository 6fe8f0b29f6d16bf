"""The kind of stage in which a diffusion model learns images and pseudo labels."""

import dataclasses
import math

import keras

from semivit_tf.diffusion.u_vit import UViT
from semivit_tf.methods.denoiser import Denoiser, GrowingMomentum
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.stages import generator_latents as latent
from semivit_tf.stages.batch_sizes import Batch
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.memory import denoiser_need
from semivit_tf.stages.optimizers import learning_rates
from semivit_tf.stages.training import TrainingKind, on_labeled_images
from semivit_tf.training.distribution import meet
from semivit_tf.training.weight_files import save_weights

_FEWEST = 4, 7  # patches on a side of small images, and of others
_SMALL = 16  # pixels of a side of small images


class Generator(TrainingKind):
    """A U-ViT that learns to denoise images of the classes they were labelled with."""

    def from_scratch(self, settings):
        return True

    def batches(self, settings, data):
        return [Batch("training images", len(data.image_indices))]

    def network(self, run, stage):
        settings, shape = run.settings(stage), run.data.image_shape
        latents, scale = latent.latents_of(settings), None
        if latents is not None:
            shape, scale = latent.check_images(latents, shape), latents.scale
        classes = run.num_classes + (settings.label_dropout > 0)
        network = UViT(
            shape[:2],
            settings.patch_size or fitting_patch(shape[:2]),
            shape[-1],
            settings.width,
            settings.depth,
            settings.heads,
            num_classes=classes,
            final_convolution=settings.final_convolution,
        )
        return Denoiser(
            network,
            run.num_classes,
            settings.prediction,
            settings.label_dropout,
            latent_scale=scale,
        )

    def carry_out(self, run, stage):
        settings = run.settings(stage)
        if not settings.encoder:
            return super().carry_out(run, stage)
        if run.is_chief and not run.stage_folder(stage).done:
            with input_errors():
                latent.keep_moments(run, stage, latent.latents_of(settings))
        meet(run.strategy)  # the moments are there for all
        super().carry_out(run, stage)
        if run.is_chief:
            latent.forget_moments(run, stage)

    def prepare(self, run, stage):
        settings = run.settings(stage)
        steps = settings.steps(len(run.data.image_indices), settings.batch_size)
        run.seed_stage(stage)
        with run.strategy.scope():
            model = self.network(run, stage)
            # As published, everything decays.
            optimizer = keras.optimizers.AdamW(
                learning_rates(settings, steps),
                weight_decay=settings.weight_decay,
                beta_1=settings.beta_1,
                beta_2=settings.beta_2,
                epsilon=1e-8,
                global_clipnorm=settings.clip_norm,
            )
            run.compile(model, optimizer, settings)
        callbacks = [EMATeacher(GrowingMomentum(settings.ema_momentum))]
        training = on_labeled_images(run, settings, model, steps, callbacks)
        if not settings.encoder:
            return training
        size = settings.batch_size
        return dataclasses.replace(
            training,
            stream=latent.stream_of_moments(run, stage, size),
            specs=latent.specs_of_moments(model.image_shape, size),
            validated=lambda images: latent.encoded(
                latent.latents_of(settings), images
            ),
        )

    def need(self, run, stage, denoiser):
        return denoiser_need(run, denoiser, run.settings(stage).batch_size)

    def initialise(self, run, stage, model):
        pass  # from scratch

    def networks(self, settings):
        return ("student", "teacher")

    def keep(self, run, stage, model, checkpoint):
        folder = run.stage_folder(stage)
        save_weights(model.student, folder.weights("student", checkpoint))
        save_weights(model.teacher, folder.weights("teacher", checkpoint))


def fitting_patch(image_size):
    """Returns the largest patch that leaves enough of them on a side of the images."""
    least = _FEWEST[min(image_size) > _SMALL]
    common = math.gcd(*image_size)
    sizes = [patch for patch in range(1, common + 1) if common % patch == 0]
    return max((p for p in sizes if min(image_size) // p >= least), default=1)
