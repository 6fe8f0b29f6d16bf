"""The kind of stage in which an encoder learns from all training images, unlabelled."""

import numpy as np

from semivit_tf.backbones import find_family
from semivit_tf.config.settings import InputError
from semivit_tf.evaluation.neighbor_accuracy import NeighborAccuracy
from semivit_tf.stages import pretrain_dino, pretrain_mae
from semivit_tf.stages.batch_sizes import Batch
from semivit_tf.stages.memory import Need
from semivit_tf.stages.starting_weights import starting_weights
from semivit_tf.stages.training import Training, TrainingKind
from semivit_tf.training.loop import validated_epochs
from semivit_tf.training.pictures import Pictures
from semivit_tf.training.weight_files import save_weights

# Each builds `encoder`, `network` and `optimizer`, opens the `stream`, and knows how
# to `load_file`, which `callbacks` to call, what is `kept`, and what `memory` an image
# takes.
METHODS = {"dino": pretrain_dino, "mae": pretrain_mae}
_SHOWN = 8  # images in a picture
_WATCHED = 10_000  # labelled images, at most, whose neighbours are looked for


class Pretrain(TrainingKind):
    """Self-supervised pre-training by the method that the settings choose."""

    def batches(self, settings, data):
        return [Batch("training images", len(data.image_indices))]

    def network(self, run, stage):
        settings, name = run.settings(stage), run.config.backbone.backbone
        if find_family(name) != "vit":
            raise InputError(
                f"--stages={stage.name} with --{settings.flag('method')}="
                f"{settings.method} needs a ViT. Received: --backbone={name}"
            )
        method, chosen = METHODS[settings.method], run.method_settings(stage)
        return method.network(run, chosen, _steps(settings, run))

    def encoder(self, run, stage):
        """Builds the encoder as the method needs it."""
        method = METHODS[run.settings(stage).method]
        return method.encoder(run, run.method_settings(stage))

    def prepare(self, run, stage):
        settings, chosen = run.settings(stage), run.method_settings(stage)
        method, steps = METHODS[settings.method], _steps(settings, run)
        run.seed_stage(stage)
        with run.strategy.scope():
            model = self.network(run, stage)
            optimizer = method.optimizer(run, settings, chosen, model, steps)
            run.compile(model, optimizer, settings)
        return Training(
            model,
            lambda step, shard=(0, 1): method.stream(
                run, settings, chosen, model, step, shard
            ),
            epochs=settings.epochs,
            steps_per_epoch=steps,
            images_per_step=settings.batch_size,
            callbacks=[
                *method.callbacks(chosen, settings.epochs * steps),
                *watch(run, stage, model),
            ],
        )

    def need(self, run, stage, network):
        settings, chosen = run.settings(stage), run.method_settings(stage)
        kept, pixels, averaged = METHODS[settings.method].memory(run, chosen, network)
        weights = network.count_params() // (1 + averaged)
        return Need(
            trained=weights,
            copied=averaged * weights,
            kept=settings.batch_size * kept,
            pixels=settings.batch_size * pixels,
            replicas=run.strategy.num_replicas_in_sync,
            compiled=run.compiles_by_xla(),
        )

    def load_file(self, run, stage, network):
        METHODS[run.settings(stage).method].load_file(run, network)

    def initialise(self, run, stage, model):
        if starting_weights(run, stage).file:
            self.load_file(run, stage, model)

    def networks(self, settings):
        return ("encoder",)

    def keep(self, run, stage, model, checkpoint):
        network = METHODS[run.settings(stage).method].kept(model)[1]
        file = run.stage_folder(stage).weights("encoder", checkpoint)
        # Both methods normalise each token, whatever the pooling of later stages.
        save_weights(network, file, normalized="tokens")

    def summary(self, settings):
        return {"method": settings.method}


def _steps(settings, run):
    return settings.steps(len(run.data.image_indices), settings.batch_size)


def evenly(indices, most):
    """Returns at most `most` of the indices, evenly spaced."""
    if len(indices) <= most:
        return indices
    return indices[np.linspace(0, len(indices) - 1, most).astype(int)]


def watch(run, stage, model):
    """Returns callbacks that show a person how the features improve."""
    if not run.is_chief:
        return []
    settings, data = run.settings(stage), run.data
    name, network = METHODS[settings.method].kept(model)
    epochs = validated_epochs(settings.epochs, run.config.run.validations)
    labeled = data.split.labeled
    known = labeled if len(labeled) else data.image_indices
    shown = data.as_evaluated(evenly(known, _SHOWN))
    images = np.concatenate([np.asarray(images) for images, _ in shown])
    folder = run.stage_folder(stage).path
    watching = [Pictures(folder, images, model.pictures, epochs)]
    if len(labeled):
        neighbors = NeighborAccuracy(
            name,
            lambda images: network(images, training=False),
            data.as_evaluated(evenly(labeled, _WATCHED)),
            data.validation(),
            run.num_classes,
            epochs,
        )
        watching.insert(0, neighbors)
    return watching
