"""What pre-training builds for self-distillation."""

import math

from semivit_tf.backbones.kept_values import kept_values
from semivit_tf.config.settings import InputError
from semivit_tf.methods.dino import DINO
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.stages import starting_weights
from semivit_tf.training.schedules import Cosine, EpochRamp


def encoder(run, chosen, drop_path=0.0):
    """Builds the network that stays."""
    return run.backbone(
        pooling="class_token",
        initialization=chosen.initialization,
        drop_path=drop_path,
    )


def network(run, chosen, steps_per_epoch):
    """Builds student and teacher."""
    backbone = encoder(run, chosen, chosen.drop_path)
    size = chosen.local_size
    if size and size % backbone.patch_size:
        raise InputError(
            f"--{chosen.flag('local_size')} should be a multiple of the patch "
            f"size {backbone.patch_size}. Received: {size}"
        )
    return DINO(
        backbone,
        outputs=chosen.outputs,
        hidden_width=chosen.hidden_width,
        bottleneck_width=chosen.bottleneck_width,
        normalize_last_layer=chosen.normalize_last_layer,
        student_temperature=chosen.student_temperature,
        teacher_temperature=EpochRamp(
            chosen.warmup_teacher_temperature,
            chosen.teacher_temperature,
            chosen.temperature_warmup_epochs,
            steps_per_epoch,
        ),
        center_momentum=chosen.center_momentum,
        frozen_updates=chosen.frozen_epochs * steps_per_epoch,
    )


def optimizer(run, settings, chosen, model, steps_per_epoch):
    """Builds the optimizer, whose weight decay grows."""
    decay = Cosine(
        settings.weight_decay,
        chosen.weight_decay_end,
        settings.epochs * steps_per_epoch,
    )
    return run.optimizer(
        model,
        settings,
        steps_per_epoch,
        weight_decay=decay,
        undecayed=(),
        clipnorm=chosen.clip_norm or None,  # of each weight's
        global_clipnorm=None,
    )


def stream(run, settings, chosen, model, step, shard):
    """Streams a worker's crops from a step on."""
    return run.data.crops(
        settings.batch_size,
        chosen.local_crops,
        step,
        shard,
        family=chosen.crops,
        local_size=local_side(run, chosen, model),
        split=chosen.split,
    )


def local_side(run, chosen, model):
    """Returns the side of a local crop, an integer or one for each axis."""
    return chosen.local_size or run.data.local_size(model.student_backbone.patch_size)


def callbacks(chosen, steps):
    """Returns the callback that moves the teacher."""
    return [EMATeacher(Cosine(chosen.teacher_momentum, 1.0, steps))]


def load_file(run, model):
    """Loads `--init_from` into student and teacher."""
    starting_weights.load_file(run, model.student_backbone)
    model.teacher_backbone.set_weights(model.student_backbone.get_weights())


def kept(model):
    """Returns whose weights stay, and the network."""
    return "teacher", model.teacher_backbone


def memory(run, chosen, model):
    """Returns the values kept and the pixels of an image, and if there is a teacher."""
    backbone, side = model.student_backbone, local_side(run, chosen, model)
    sides = (side, side) if isinstance(side, int) else side
    patches = math.prod(side // backbone.patch_size for side in sides)
    kept = 2 * kept_values(backbone)
    kept += chosen.local_crops * kept_values(backbone, patches + 1)
    local = chosen.local_crops * math.prod(sides) * backbone.channels
    return kept, 2 * math.prod(run.data.image_shape) + local, True
