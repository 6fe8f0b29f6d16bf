"""The optimizer and the learning rates that a stage's settings ask for."""

from semivit_tf.training.optimizers import layer_wise_adamw
from semivit_tf.training.schedules import (
    WarmupCosine,
    WarmupSevenSixteenths,
    scaled_learning_rate,
)
from semivit_tf.training.sgd import layer_wise_sgd


def learning_rates(settings, steps_per_epoch):
    """Returns the schedule of a stage's learning rate.

    Args:
        settings: `TrainingSettings` with a batch size.
        steps_per_epoch: Integer.
    """
    peak = scaled_learning_rate(settings.base_learning_rate, settings.batch_size)
    total = settings.epochs * steps_per_epoch
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    if settings.schedule == "cosine_7_16":
        return WarmupSevenSixteenths(peak, total, warmup)
    return WarmupCosine(peak, total, warmup, settings.minimum_learning_rate)


def stage_optimizer(model, settings, steps_per_epoch, **options):
    """Builds the optimizer of a stage.

    Args:
        model: The method, whose trainable variables it is for.
        settings: `TrainingSettings` with a batch size.
        steps_per_epoch: Integer.
        **options: Arguments of `layer_wise_adamw` that differ from the settings.
    """
    rates = learning_rates(settings, steps_per_epoch)
    defaults = {
        "global_clipnorm": settings.clip_norm,
        "layer_decay": settings.layer_decay,
        "weight_decay": settings.weight_decay,
    }
    if settings.optimizer == "sgd":
        return layer_wise_sgd(model, rates, **{**defaults, **options})
    defaults["beta_2"] = settings.beta_2
    return layer_wise_adamw(model, rates, **{**defaults, **options})
