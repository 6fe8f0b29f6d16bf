"""Stage 1: the encoder learns from all training images, without labels."""

from semivit_tf.backbones import find_family
from semivit_tf.config.settings import InputError
from semivit_tf.methods.mae import MAE
from semivit_tf.training.checkpoints import save_weights

STAGE = "pretrain"


def _images(run):
    return len(run.data.image_indices)


def batches(run):
    """Returns `(flag, size, available, images)` of the batches that are needed."""
    size = run.config.pretrain.batch_size
    return [("pretrain_batch_size", size, _images(run), "training images")]


def network(run):
    """Builds the masked autoencoder around the encoder that stays."""
    settings, name = run.config.pretrain, run.config.backbone.backbone
    if find_family(name) != "vit":
        raise InputError(
            "--stages=pretrain with --pretrain_method=mae needs a ViT. "
            f"Received: --backbone={name}"
        )
    # The encoder of MAE is a plain ViT, started and placed in its own way.
    encoder = run.backbone(position_embedding="sincos", initialization="xavier_uniform")
    return MAE(
        encoder,
        mask_ratio=settings.mask_ratio,
        decoder_width=settings.decoder_width,
        decoder_depth=settings.decoder_depth,
        decoder_heads=settings.decoder_heads,
        normalize_targets=settings.normalize_targets,
    )


def train(run):
    """Trains a masked autoencoder and keeps its encoder."""
    settings = run.config.pretrain
    steps = _images(run) // settings.batch_size
    run.seed_stage(STAGE)
    with run.strategy.scope():
        model = network(run)
        optimizer = run.optimizer(model, settings, steps, beta_2=0.95, undecayed=())
        run.compile(model, optimizer)
    run.train(
        model,
        lambda step: run.data.images(settings.batch_size, start_step=step),
        stage=STAGE,
        settings=settings,
        steps_per_epoch=steps,
    )
    folder = run.folder.stage(STAGE)
    save_weights(model.backbone, folder.weights("encoder"))
    folder.finish(method=settings.method)
