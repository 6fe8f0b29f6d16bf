"""What does every stage need? The settings, the folder, the data and the devices."""

import dataclasses
import zlib
from collections.abc import Callable

import keras
import tensorflow as tf

from semivit_tf.backbones import create_backbone, find_family
from semivit_tf.backbones.vit import VIT_SIZES
from semivit_tf.config.run import Config
from semivit_tf.data.dataset import Dataset
from semivit_tf.methods.classifier import Classifier
from semivit_tf.stages.run_folder import RunFolder
from semivit_tf.training.distribution import workers
from semivit_tf.training.loop import train
from semivit_tf.training.optimizers import layer_wise_adamw
from semivit_tf.training.schedules import WarmupCosine, scaled_learning_rate
from semivit_tf.training.weight_files import load_weights
from semivit_tf.weights import load_published

# In the order in which each goes on from the one before.
TRAINING_STAGES = ("pretrain", "finetune", "semi_finetune")
# In place of a stage where the weights were made elsewhere.
FROM_FILE = "init_from"
WIDE = 256  # channels of a token; measured at 64, 384 and 768


@dataclasses.dataclass(frozen=True)
class Run:
    """One run on its way through the stages.

    `config` is complete; `asked` is what was asked for, as the folder keeps it.
    """

    config: Config
    folder: RunFolder
    data: Dataset
    strategy: tf.distribute.Strategy
    asked: Config | None = None
    say: Callable = print

    @property
    def is_chief(self):
        """Whether this process writes and speaks for all workers."""
        return workers(self.strategy)[0] == 0

    @property
    def num_classes(self):
        """The number of classes."""
        return len(self.data.class_names)

    def compiles_by_xla(self, gated=False):
        """Returns whether a stage's steps are compiled by XLA.

        Measured on processors: it pays for a ViT in float32, costs in bfloat16, and
        makes depthwise convolutions dozens of times slower. It excludes running the
        student on fewer images, which saves more where the ViT is wide. Keras leaves it
        out when operations have to be deterministic, and over several devices.

        Args:
            gated: Bool or `"auto"`. Whether the step would leave images out.
        """
        settings = self.config.run
        if settings.xla != "auto":
            return settings.xla == "on"
        processor = not tf.config.list_physical_devices("GPU")
        if gated is True or (gated and processor and self.has_wide_vit()):
            return False
        alone = settings.strategy == "none" and not settings.deterministic
        vit = find_family(self.config.backbone.backbone) == "vit"
        return alone and vit and settings.precision == "float32"

    def has_wide_vit(self):
        """Returns whether matrix products are most of a ViT's work."""
        settings = self.config.backbone
        sizes = {**VIT_SIZES.get(settings.backbone, {}), **settings.overrides()}
        return sizes.get("width", 0) >= WIDE

    def seed_stage(self, name):
        """Gives a stage its own seed, so it starts the same whatever ran before."""
        text = f"{self.config.run.seed} {name}"
        keras.utils.set_random_seed(zlib.crc32(text.encode()))

    def backbone(self, **options):
        """Builds the backbone with this stage's options."""
        return create_backbone(
            self.config.backbone.backbone,
            **{
                "image_size": self.data.image_size,
                "channels": self.data.image_shape[-1],
                **self.config.backbone.overrides(),
                **options,
            },
        )

    def classifier(self, settings=None, name="student"):
        """Builds the classifier of a labelled stage, or a bare one to predict with."""
        options = {}
        if settings is not None:
            options = {
                "label_smoothing": settings.label_smoothing,
                "mixup_alpha": settings.mixup_alpha,
                "cutmix_alpha": settings.cutmix_alpha,
            }
        rate = settings.drop_path if settings is not None else 0.0
        # Networks made elsewhere know no drop path.
        backbone = self.backbone(**({"drop_path": rate} if rate else {}))
        return Classifier(backbone, self.num_classes, name=name, **options)

    def starts_from_file(self, stage):
        """Returns whether a stage starts from `--init_from`: the first that trains."""
        if self.config.backbone.init_from is None:
            return False
        earlier = TRAINING_STAGES[: TRAINING_STAGES.index(stage)]
        asked = self.config.run.stage_names()
        return not any(
            name in asked or self.folder.stage(name).done for name in earlier
        )

    @property
    def answers_from_file(self):
        """Whether `--init_from` is what is tested and served: nothing is trained."""
        asked = self.config.run.stage_names()
        return self.config.backbone.init_from is not None and not any(
            name in asked or self.folder.stage(name).done for name in TRAINING_STAGES
        )

    def load_kept(self, network, stage, weights):
        """Loads what a stage kept into a network, or `--init_from` with its head."""
        if stage == FROM_FILE:
            self.load_initial(network, head="keep")
        else:
            load_weights(network, self.folder.stage(stage).weights(weights))

    def load_initial(self, model, **options):
        """Loads `--init_from` into a model and says what became of the weights."""
        settings = self.config.backbone
        options |= settings.init_options()
        found = load_published(model, settings.init_from, **options)
        self.say(found.describe())

    def optimizer(self, model, settings, steps_per_epoch, **options):
        """Builds AdamW with the stage's schedule."""
        schedule = WarmupCosine(
            scaled_learning_rate(settings.base_learning_rate, settings.batch_size),
            total_steps=settings.epochs * steps_per_epoch,
            warmup_steps=round(settings.warmup_epochs * steps_per_epoch),
            minimum=settings.minimum_learning_rate,
        )
        defaults = {
            "beta_2": getattr(settings, "beta_2", 0.999),
            "global_clipnorm": settings.clip_norm,
            "layer_decay": getattr(settings, "layer_decay", 1.0),
            "weight_decay": settings.weight_decay,
        }
        return layer_wise_adamw(model, schedule, **{**defaults, **options})

    def compile(self, model, optimizer, settings, **options):
        """Compiles a method as the run and the stage want its steps carried out."""
        model.compile(
            optimizer,
            batch_parts=settings.batch_parts,
            jit_compile=self.compiles_by_xla(options.get("gated", False)),
            **options,
        )

    def train(self, training, stage):
        """Carries out the `Training` of a stage in its folder."""
        train(
            training.model,
            training.stream,
            stage=stage,
            folder=self.folder.stage(stage).path,
            epochs=training.epochs,
            steps_per_epoch=training.steps_per_epoch,
            steps_per_execution=self.config.run.steps_per_execution,
            validation_data=self.data.validation(),
            validations=self.config.run.validations,
            checkpoint_seconds=self.config.run.checkpoint_seconds,
            checkpoint_steps=self.config.run.checkpoint_steps,
            keep_checkpoints=self.config.run.keep_checkpoints,
            best=training.best,
            callbacks=training.callbacks,
        )
