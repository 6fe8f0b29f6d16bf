"""What is done where nothing is said: a budget of updates, and rates that fit it.

Published settings are made for a million images. The rules here are for the images and
labels at hand. `experiments/derived_settings.py` compares them with settings made by
hand.
"""

import dataclasses
import math

from semivit_tf.backbones import ELSEWHERE, find_family
from semivit_tf.backbones.vit_sizes import VIT_SIZES
from semivit_tf.config.backbone import AUTO, BackboneConfig
from semivit_tf.config.presets import PEAK_RATES, PUBLISHED, UPDATES, WARMUP
from semivit_tf.config.semi_methods import SemiViTSettings

SMALL_SIDE = 64  # of images that a few channels are enough for; processors learn them
_TEACHER_MEMORY = 0.06  # of the updates of a stage


def derived_settings(group, config, settings, images, work=1.0):
    """Returns the settings of a training stage with all that was not said.

    Args:
        group: String, such as `"finetune"`: the group that the settings are of.
        config: `Config`.
        settings: The group, with a batch size.
        images: Tuple of integers: images of a pass, and images of them in a step.
        work: Float. The share of the preset's updates that there is time for.
    """
    if config.run.preset == PUBLISHED:
        return settings
    steps = settings.steps(*images)
    updates = max(1, round(work * UPDATES[config.run.preset][group]))
    epochs = math.ceil(updates / steps)
    # A whole number of passes over many images would be more than the budget.
    most = math.ceil(updates / epochs)
    if "epochs" in settings.said:
        epochs, most = settings.epochs, updates
    peak = PEAK_RATES[group] * math.sqrt(64 / max(64, _width(config.backbone)))
    rules = {
        "epochs": epochs,
        "steps_per_epoch": most if steps > most else None,
        "warmup_epochs": _rounded(WARMUP[group] * epochs),
        "base_learning_rate": _rounded(peak * 256 / settings.batch_size),
        # Strong mixing of the labelled images takes more updates than there are.
        "mixup_alpha": 0.0,
        "cutmix_alpha": 0.0,
        "layer_decay": 0.75,
        "drop_path": 0.1,
        # Of a generator.
        "minimum_learning_rate": 1e-6,
        "prediction": "v",
        "ema_momentum": _momentum(epochs * min(steps, most)),
    }
    if find_family(config.backbone.backbone) in ELSEWHERE:
        rules |= {"drop_path": 0.0, "layer_decay": 1.0}  # what these cannot have
    if settings.optimizer == "sgd":
        del rules["base_learning_rate"]  # that of AdamW
    return _with_rules(settings, rules)


def derived_image_size(config, parts, on_processors):
    """Returns the side that photographs are resized to, or None: as by default.

    Args:
        config: `Config`.
        parts: `Parts`.
        on_processors: Bool. Whether nothing faster than processors is there.
    """
    settings, left = config.data, config.backbone or BackboneConfig()
    if settings.image_size or config.run.preset == PUBLISHED:
        return settings.image_size
    differ = None in parts.train.image_shape[:2]
    left_out = left.backbone == AUTO and not left.overrides()
    return SMALL_SIDE if differ and left_out and on_processors else None


def derived_network(backbone, image_size):
    """Returns the settings of a backbone that is left to the images.

    Args:
        backbone: `BackboneConfig`.
        image_size: Tuple `(H, W)`.
    """
    if backbone.backbone != AUTO:
        return backbone
    side = max(image_size)
    if side > SMALL_SIDE and all(side % 16 == 0 for side in image_size):
        chosen = {"backbone": "vit_small_patch16"}
    else:
        # Some 50 patches of a small image, no fewer than 4 on a side.
        common = math.gcd(*image_size)
        wanted = 7 if side > 16 else 4
        sizes = [p for p in range(1, common + 1) if common % p == 0]
        patch = max((p for p in sizes if side // p >= wanted), default=1)
        width, depth = (64, 4) if side <= 16 else (96, 6)
        chosen = {"backbone": "vit", "patch_size": patch, "width": width}
        chosen |= {"depth": depth, "heads": 4}
    given = backbone.overrides()
    return backbone.with_values(
        **{name: value for name, value in chosen.items() if name not in given}
    )


def derived_method_settings(config, settings, updates):
    """Returns the settings of a method with all that was not said.

    Args:
        config: `Config`.
        settings: Settings of the method.
        updates: Integer. Of the whole stage.
    """
    if config.run.preset == PUBLISHED:
        return settings
    width = _width(config.backbone)
    decoder = max(32, min(512, 3 * width // 4 // 16 * 16))
    momentum = _momentum(updates)
    rules = {
        "ema_momentum": momentum,
        "decoder_width": decoder,
        "decoder_depth": 2,
        "decoder_heads": max(2, decoder // 32),
    }
    if getattr(settings, "threshold_momentum", None) is not None:
        rules["threshold_momentum"] = momentum
    if isinstance(settings, SemiViTSettings):
        # A teacher that knows few labels is surest of the easiest classes: to learn
        # these alone, or more than the labels, makes it forget the others.
        rules |= {"unlabeled_weight": 1.0, "mixup_alpha": 0.0, "cutmix_alpha": 0.0}
        if settings.selection == "fixed_threshold":
            rules["threshold"] = 0.0
    return _with_rules(settings, rules)


def _momentum(updates):
    """Returns a teacher's momentum that suits so many updates."""
    memory = max(_TEACHER_MEMORY * updates, 10.0)
    return min(_rounded(1.0 - 1.0 / memory, 4), 0.9999)


def _with_rules(settings, rules):
    names = {f.name for f in dataclasses.fields(settings) if f.metadata["derived"]}
    names -= settings.said
    found = {name: rules[name] for name in names & set(rules)}
    return settings.with_values(**found)


def _width(backbone):
    """Returns the channels of a token, or a usual number where there are none."""
    sizes = {**VIT_SIZES.get(backbone.backbone, {}), **backbone.overrides()}
    return sizes.get("width", 384)


def _rounded(value, digits=3):
    """Returns a number as a person would write it down."""
    return float(f"{value:.{digits}g}")
