"""What pre-training builds for self-distillation."""

from semivit_tf.config.settings import InputError
from semivit_tf.methods.dino import DINO
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.stages import starting_weights
from semivit_tf.training.schedules import Cosine, EpochRamp


def encoder(run, settings, drop_path=0.0):
    """Builds the network that stays."""
    return run.backbone(
        pooling="class_token",
        initialization=settings.dino_initialization,
        drop_path=drop_path,
    )


def network(run, settings, steps_per_epoch):
    """Builds student and teacher."""
    backbone = encoder(run, settings, settings.dino_drop_path)
    size = settings.dino_local_size
    if size and size % backbone.patch_size:
        raise InputError(
            f"--{settings.flag('dino_local_size')} should be a multiple of the patch "
            f"size {backbone.patch_size}. Received: {size}"
        )
    return DINO(
        backbone,
        outputs=settings.dino_outputs,
        hidden_width=settings.dino_hidden_width,
        bottleneck_width=settings.dino_bottleneck_width,
        normalize_last_layer=settings.dino_normalize_last_layer,
        student_temperature=settings.dino_student_temperature,
        teacher_temperature=EpochRamp(
            settings.dino_warmup_teacher_temperature,
            settings.dino_teacher_temperature,
            settings.dino_temperature_warmup_epochs,
            steps_per_epoch,
        ),
        center_momentum=settings.dino_center_momentum,
        frozen_updates=settings.dino_frozen_epochs * steps_per_epoch,
    )


def optimizer(run, settings, model, steps_per_epoch):
    """Builds the optimizer, whose weight decay grows."""
    decay = Cosine(
        settings.weight_decay,
        settings.dino_weight_decay_end,
        settings.epochs * steps_per_epoch,
    )
    return run.optimizer(
        model,
        settings,
        steps_per_epoch,
        weight_decay=decay,
        undecayed=(),
        clipnorm=settings.dino_clip_norm or None,  # of each weight's
        global_clipnorm=None,
    )


def stream(run, settings, model, step, shard):
    """Streams a worker's crops from a step on."""
    patch_size = model.student_backbone.patch_size
    return run.data.crops(
        settings.batch_size,
        settings.dino_local_crops,
        step,
        shard,
        family=settings.dino_crops,
        local_size=settings.dino_local_size or run.data.local_size(patch_size),
        split=settings.dino_split,
    )


def callbacks(settings, steps_per_epoch):
    """Returns the callback that moves the teacher."""
    steps = settings.epochs * steps_per_epoch
    return [EMATeacher(Cosine(settings.dino_teacher_momentum, 1.0, steps))]


def load_file(run, model):
    """Loads `--init_from` into student and teacher."""
    starting_weights.load_file(run, model.student_backbone)
    model.teacher_backbone.set_weights(model.student_backbone.get_weights())


def kept(model):
    """Returns whose weights stay, and the network."""
    return "teacher", model.teacher_backbone
