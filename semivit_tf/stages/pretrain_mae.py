"""What pre-training builds for a masked autoencoder."""

import math

from semivit_tf.backbones.kept_values import kept_values, transformer_values
from semivit_tf.config.settings import InputError
from semivit_tf.methods.mae import MAE
from semivit_tf.stages import starting_weights


def encoder(run, chosen):
    """Builds the network that stays: a ViT with the positions and kernels of MAE."""
    return run.backbone(position_embedding="sincos", initialization="xavier_uniform")


def network(run, chosen, steps_per_epoch):
    """Builds the masked autoencoder."""
    model = MAE(
        encoder(run, chosen),
        mask_ratio=chosen.mask_ratio,
        decoder_width=chosen.decoder_width,
        decoder_depth=chosen.decoder_depth,
        decoder_heads=chosen.decoder_heads,
        normalize_targets=chosen.normalize_targets,
    )
    tokens = model.autoencoder.tokens
    if model.autoencoder.visible == tokens:
        raise InputError(
            f"--{chosen.flag('mask_ratio')} should hide some of {tokens} patches. "
            f"Received: {chosen.mask_ratio}"
        )
    return model


def optimizer(run, settings, chosen, model, steps_per_epoch):
    """Builds the optimizer."""
    return run.optimizer(model, settings, steps_per_epoch, undecayed=())


def stream(run, settings, chosen, model, step, shard):
    """Streams a worker's images from a step on."""
    return run.data.images(settings.batch_size, step, shard)


def callbacks(chosen, steps):
    """Returns the callbacks that the method needs: none."""
    return []


def load_file(run, model):
    """Loads `--init_from`: the encoder, and the decoder if the file has one."""
    starting_weights.load_file(run, model, allow_missing=("decoder/",))


def kept(model):
    """Returns whose weights stay, and the network."""
    return "encoder", model.backbone


def memory(run, chosen, model):
    """Returns the values kept and the pixels of an image, and if there is a teacher."""
    autoencoder, decoder = model.autoencoder, model.decoder
    kept = kept_values(model.backbone, autoencoder.visible + 1)
    kept += transformer_values(
        autoencoder.tokens + 1, decoder.width, decoder.heads, decoder.depth
    )
    return kept, math.prod(run.data.image_shape), False
