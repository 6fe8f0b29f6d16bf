"""Stage 1: the encoder learns from all training images, without labels."""

import numpy as np

from semivit_tf.backbones import find_family
from semivit_tf.config.settings import InputError
from semivit_tf.evaluation.neighbor_accuracy import NeighborAccuracy
from semivit_tf.stages import pretrain_dino, pretrain_mae
from semivit_tf.stages.training import Training
from semivit_tf.training.loop import validated_epochs
from semivit_tf.training.pictures import Pictures
from semivit_tf.training.weight_files import save_weights

STAGE = "pretrain"

# Each builds `encoder`, `network` and `optimizer`, opens the `stream`, and knows how
# to `start` from a file, which `callbacks` to call and what is `kept`.
METHODS = {"dino": pretrain_dino, "mae": pretrain_mae}
_SHOWN = 8  # images in a picture
_WATCHED = 10_000  # labelled images, at most, whose neighbours are looked for


def _images(run):
    return len(run.data.image_indices)


def batches(run):
    """Returns `(flag, size, available, images)` of the batches that are needed."""
    size = run.config.pretrain.batch_size
    return [("pretrain_batch_size", size, _images(run), "training images")]


def network(run):
    """Builds the model around the encoder that stays."""
    method, name = run.config.pretrain.method, run.config.backbone.backbone
    if find_family(name) != "vit":
        raise InputError(
            f"--stages=pretrain with --pretrain_method={method} needs a ViT. "
            f"Received: --backbone={name}"
        )
    steps = _images(run) // run.config.pretrain.batch_size
    return METHODS[method].network(run, steps)


def encoder(run):
    """Builds the network that stays, as the method wants it."""
    return METHODS[run.config.pretrain.method].encoder(run)


def start(run, model):
    """Loads `--init_from`."""
    METHODS[run.config.pretrain.method].start(run, model)


def evenly(indices, most):
    """Returns at most so many indices, from everywhere among them."""
    if len(indices) <= most:
        return indices
    return indices[np.linspace(0, len(indices) - 1, most).astype(int)]


def watch(run, model):
    """Returns what shows a person how the features come along."""
    if not run.is_chief:
        return []
    name, network = METHODS[run.config.pretrain.method].kept(model)
    data = run.data
    epochs = validated_epochs(run.config.pretrain.epochs, run.config.run.validations)
    labeled = data.split.labeled
    known = labeled if len(labeled) else data.image_indices
    shown = data.as_evaluated(evenly(known, _SHOWN))
    images = np.concatenate([np.asarray(images) for images, _ in shown])
    watching = [Pictures(run.folder.stage(STAGE).path, images, model.pictures, epochs)]
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


def prepare(run, fresh=False):
    """Builds and compiles the method chosen; see `Training`.

    Args:
        run: `Run`.
        fresh: Bool. Whether to leave out the weights that the stage starts from.
    """
    settings = run.config.pretrain
    method = METHODS[settings.method]
    steps = _images(run) // settings.batch_size
    run.seed_stage(STAGE)
    with run.strategy.scope():
        model = network(run)
        if run.starts_from_file(STAGE) and not fresh:
            start(run, model)
        run.compile(model, method.optimizer(run, model, steps), settings)
    return Training(
        model,
        lambda step, shard=(0, 1): method.stream(run, model, step, shard),
        epochs=settings.epochs,
        steps_per_epoch=steps,
        images_per_step=settings.batch_size,
        callbacks=[*method.callbacks(run, steps), *watch(run, model)],
    )


def keep(run, model):
    """Keeps the encoder."""
    settings, folder = run.config.pretrain, run.folder.stage(STAGE)
    network = METHODS[settings.method].kept(model)[1]
    # Both methods normalise each token, whatever the pooling of later stages.
    save_weights(network, folder.weights("encoder"), normalized="tokens")
    folder.finish(method=settings.method)
