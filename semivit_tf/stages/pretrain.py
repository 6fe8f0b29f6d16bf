"""Stage 1: the encoder learns from all training images, without labels."""

import numpy as np

from semivit_tf.methods.mae import MAE
from semivit_tf.training.checkpoints import save_weights

STAGE = "pretrain"


def steps_per_epoch(run):
    """Returns how many steps make one pass over the training images."""
    split = run.data.split
    images = len(np.union1d(split.labeled, split.unlabeled))
    return images // run.config.pretrain.batch_size


def pretrain(run):
    """Trains a masked autoencoder and keeps its encoder."""
    settings = run.config.pretrain
    steps = steps_per_epoch(run)
    run.seed_stage(STAGE)
    with run.strategy.scope():
        # The encoder of MAE is a plain ViT, started and placed in its own way.
        encoder = run.backbone(
            position_embedding="sincos", initialization="xavier_uniform"
        )
        model = MAE(
            encoder,
            mask_ratio=settings.mask_ratio,
            decoder_width=settings.decoder_width,
            decoder_depth=settings.decoder_depth,
            decoder_heads=settings.decoder_heads,
            normalize_targets=settings.normalize_targets,
        )
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
    save_weights(encoder, folder.weights("encoder"))
    folder.finish(method=settings.method, images=steps * settings.batch_size)
