"""What does stage 1 need for a masked autoencoder?"""

from semivit_tf.config.settings import InputError
from semivit_tf.methods.mae import MAE


def encoder(run):
    """Builds the network that stays: a plain ViT, started and placed in MAE's way."""
    return run.backbone(position_embedding="sincos", initialization="xavier_uniform")


def network(run, steps_per_epoch):
    """Builds the masked autoencoder."""
    settings = run.config.pretrain
    model = MAE(
        encoder(run),
        mask_ratio=settings.mask_ratio,
        decoder_width=settings.decoder_width,
        decoder_depth=settings.decoder_depth,
        decoder_heads=settings.decoder_heads,
        normalize_targets=settings.normalize_targets,
    )
    tokens = model.autoencoder.tokens
    if model.autoencoder.visible == tokens:
        raise InputError(
            f"--pretrain_mask_ratio should hide some of {tokens} patches. "
            f"Received: {settings.mask_ratio}"
        )
    return model


def optimizer(run, model, steps_per_epoch):
    """Builds the optimizer."""
    settings = run.config.pretrain
    return run.optimizer(model, settings, steps_per_epoch, beta_2=0.95, undecayed=())


def stream(run, model, step, shard):
    """Streams a worker's images from a step on."""
    return run.data.images(run.config.pretrain.batch_size, step, shard)


def callbacks(run, steps_per_epoch):
    """Returns what has to be called besides."""
    return []


def start(run, model):
    """Loads `--init_from`: the encoder, and the decoder if the file has one."""
    run.load_initial(model, allow_missing=("decoder/",))


def kept(model):
    """Returns whose weights stay, and the network."""
    return "encoder", model.backbone
