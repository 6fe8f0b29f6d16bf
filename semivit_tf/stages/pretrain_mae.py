"""What pre-training builds for a masked autoencoder."""

from semivit_tf.config.settings import InputError
from semivit_tf.methods.mae import MAE
from semivit_tf.stages import starting_weights


def encoder(run, settings):
    """Builds the network that stays: a ViT with the positions and kernels of MAE."""
    return run.backbone(position_embedding="sincos", initialization="xavier_uniform")


def network(run, settings, steps_per_epoch):
    """Builds the masked autoencoder."""
    model = MAE(
        encoder(run, settings),
        mask_ratio=settings.mask_ratio,
        decoder_width=settings.decoder_width,
        decoder_depth=settings.decoder_depth,
        decoder_heads=settings.decoder_heads,
        normalize_targets=settings.normalize_targets,
    )
    tokens = model.autoencoder.tokens
    if model.autoencoder.visible == tokens:
        raise InputError(
            f"--{settings.flag('mask_ratio')} should hide some of {tokens} patches. "
            f"Received: {settings.mask_ratio}"
        )
    return model


def optimizer(run, settings, model, steps_per_epoch):
    """Builds the optimizer."""
    return run.optimizer(model, settings, steps_per_epoch, beta_2=0.95, undecayed=())


def stream(run, settings, model, step, shard):
    """Streams a worker's images from a step on."""
    return run.data.images(settings.batch_size, step, shard)


def callbacks(settings, steps_per_epoch):
    """Returns the callbacks that the method needs: none."""
    return []


def load_file(run, model):
    """Loads `--init_from`: the encoder, and the decoder if the file has one."""
    starting_weights.load_file(run, model, allow_missing=("decoder/",))


def kept(model):
    """Returns whose weights stay, and the network."""
    return "encoder", model.backbone
