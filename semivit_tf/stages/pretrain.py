"""Stage 1: the encoder learns from all training images, without labels."""

from semivit_tf.backbones import find_family
from semivit_tf.config.settings import InputError
from semivit_tf.stages import pretrain_dino, pretrain_mae
from semivit_tf.training.checkpoints import save_weights

STAGE = "pretrain"

# Each has `network`, `optimizer`, `stream`, `callbacks` and `encoder`.
METHODS = {"dino": pretrain_dino, "mae": pretrain_mae}


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


def train(run):
    """Trains by the method chosen and keeps the encoder."""
    settings = run.config.pretrain
    method = METHODS[settings.method]
    steps = _images(run) // settings.batch_size
    run.seed_stage(STAGE)
    with run.strategy.scope():
        model = network(run)
        run.compile(model, method.optimizer(run, model, steps))
    run.train(
        model,
        lambda step: method.stream(run, model, step),
        stage=STAGE,
        settings=settings,
        steps_per_epoch=steps,
        callbacks=method.callbacks(run, steps),
    )
    folder = run.folder.stage(STAGE)
    save_weights(method.encoder(model), folder.weights("encoder"))
    folder.finish(method=settings.method)
