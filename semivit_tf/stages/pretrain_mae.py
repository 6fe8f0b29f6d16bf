"""What does stage 1 need for a masked autoencoder?"""

from semivit_tf.methods.mae import MAE


def network(run, steps_per_epoch):
    """Builds the masked autoencoder."""
    settings = run.config.pretrain
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


def optimizer(run, model, steps_per_epoch):
    """Builds the optimizer."""
    settings = run.config.pretrain
    return run.optimizer(model, settings, steps_per_epoch, beta_2=0.95, undecayed=())


def stream(run, model, step):
    """Streams images from a step on."""
    return run.data.images(run.config.pretrain.batch_size, start_step=step)


def callbacks(run, steps_per_epoch):
    """Returns what has to be called besides."""
    return []


def encoder(model):
    """Returns the network that stays."""
    return model.backbone
