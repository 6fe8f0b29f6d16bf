"""What every stage needs: the settings, the folder, the data and the devices."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from semivit_tf.backbones import create_backbone, find_family
from semivit_tf.backbones.vit_sizes import VIT_SIZES
from semivit_tf.config import Config
from semivit_tf.data.class_balance import class_counts
from semivit_tf.data.dataset import Dataset
from semivit_tf.evaluation.interval import FEW, share_interval
from semivit_tf.methods.two_stream_classifier import create_classifier
from semivit_tf.stages.batch_sizes import settled_settings
from semivit_tf.stages.derived_settings import derived_method_settings
from semivit_tf.stages.memory import Need
from semivit_tf.stages.optimizers import stage_optimizer
from semivit_tf.stages.run_folder import RunFolder, StageFolder
from semivit_tf.stages.stage import Stage
from semivit_tf.training.distribution import workers
from semivit_tf.training.loop import Job, train

WIDE = 256  # channels of a token; measured at 64, 384 and 768


@dataclasses.dataclass(frozen=True)
class Run:
    """One run on its way through the stages.

    Attributes:
        config: `Config`, as it was given.
        folder: `RunFolder`.
        data: `Dataset` of the run, or where a stage is carried out, the stage's.
        strategy: `tf.distribute.Strategy`.
        pipeline: All stages that there are, in order.
        wanted: The stages that are asked for, in order.
        say: Function that shows a person a text.
        fixed: By stage, a dict of flag to value: what the checks have settled of that
            which was not said, or an earlier run of the same command in this folder.
        needs: By stage, its `Need`, or None where that is not known.
        work: By stage, the share of a derived number of updates that there is time for;
            all of them where it says nothing.
        deadline: Optional float. When `time.monotonic()` is past it, a stage ends.
    """

    config: Config
    folder: RunFolder
    data: Dataset
    strategy: tf.distribute.Strategy
    pipeline: tuple[Stage, ...] = ()
    wanted: tuple[Stage, ...] = ()
    say: Callable = print
    fixed: Mapping[str, dict] = dataclasses.field(default_factory=dict)
    needs: Mapping[str, Need | None] = dataclasses.field(default_factory=dict)
    work: Mapping[str, float] = dataclasses.field(default_factory=dict)
    deadline: float | None = None

    # === Stages ===

    def at(self, stage):
        """Returns the run with the data of a stage."""
        if stage.data is None:
            return self
        return dataclasses.replace(self, data=stage.data(self))

    def settings(self, stage):
        """Returns the settings of a stage, with a batch size if it trains, or None."""
        if not stage.kind.trains:
            return getattr(self.config, stage.settings) if stage.settings else None
        replicas = self.strategy.num_replicas_in_sync
        work = self.work.get(stage.name, 1.0)
        settings = settled_settings(stage, self.config, self.data, replicas, work)
        return self._with_fixed(settings, stage)

    def fix(self, stage, **values):
        """Returns the run with values, by flag, of what was not said of a stage."""
        values = {**self.fixed.get(stage.name, {}), **values}
        return dataclasses.replace(self, fixed={**self.fixed, stage.name: values})

    def _with_fixed(self, settings, stage):
        fixed = self.fixed.get(stage.name, {})
        flags = {f.name: settings.flag(f.name) for f in dataclasses.fields(settings)}
        return settings.with_values(
            **{
                name: fixed[flag]
                for name, flag in flags.items()
                if flag in fixed and name not in settings.said
            }
        )

    def may_derive(self, stage, name):
        """Returns whether a setting of a stage was neither said nor settled before."""
        group = getattr(self.config, stage.settings)
        fixed = self.fixed.get(stage.name, {})
        return name not in group.said and group.flag(name) not in fixed

    def timed(self, **values):
        """Returns the run with other `work` and `deadline`."""
        return dataclasses.replace(self, **values)

    def derived(self, stage):
        """Returns a dict of flag to value: what was not said of a training stage."""
        found = {}
        groups = (self.settings(stage), self.method_settings(stage))
        for settings in filter(None, groups):
            for field in dataclasses.fields(settings):
                own = field.metadata["derived"] or field.name.startswith("batch_")
                if own and field.name not in settings.said:
                    found[settings.flag(field.name)] = getattr(settings, field.name)
        return {flag: value for flag, value in found.items() if value is not None}

    def method_settings(self, stage):
        """Returns the settings of the method that a stage's settings choose."""
        method = f"{stage.settings}_method"
        if not hasattr(self.config, method):
            return None
        chosen = getattr(self.config, method)
        return self._with_fixed(
            derived_method_settings(self.config, chosen, self.updates(stage)), stage
        )

    def updates(self, stage):
        """Returns how many updates a training stage makes."""
        settings = self.settings(stage)
        counted = stage.kind.batches(settings, self.data)[-1]
        size = settings.batch_size * counted.times
        return settings.epochs * settings.steps(counted.available, size)

    def later_steps(self, stage):
        """Returns how many steps of a stage those after it take as long as.

        Values that networks keep for the gradient stand for the work.
        """
        one = self.needs.get(stage.name)
        later = [
            (self.updates(other), self.needs.get(other.name))
            for other in self.wanted[self.wanted.index(stage) + 1 :]
            if other.kind.trains and other.data is None
            if not self.stage_folder(other).done
        ]
        if one is None or any(need is None for _, need in later):
            return 0.0
        return sum(updates * need.kept / one.kept for updates, need in later)

    def stage_folder(self, stage) -> StageFolder:
        """Returns the folder of a stage."""
        return self.folder.stage(stage.name)

    def did_before(self, stage) -> bool:
        """Returns whether a stage is finished, and says so where it is."""
        done = self.stage_folder(stage).done
        if done:
            self.say(f"{stage.name}: done before")
        return done

    def networks(self, stage):
        """Returns the names of the networks that a training stage keeps."""
        return stage.kind.networks(self.settings(stage))

    def has(self, stage) -> bool:
        """Returns whether a stage is asked for or finished."""
        return stage in self.wanted or self.stage_folder(stage).done

    def seed_stage(self, stage):
        """Gives a stage its own seed, so it starts the same whatever ran before."""
        text = f"{self.config.run.seed} {stage.repeats or stage.name}"
        keras.utils.set_random_seed(zlib.crc32(text.encode()))

    def train(self, training, stage):
        """Trains as the `Training` of a stage says; returns the last `Position`."""
        settings = self.config.run
        job = Job(
            stage=stage.name,
            folder=self.stage_folder(stage).path,
            epochs=training.epochs,
            steps_per_epoch=training.steps_per_epoch,
            steps_per_execution=settings.steps_per_execution,
            validation_data=training.validated(self.data.validation()),
            validations=settings.validations,
            checkpoint_seconds=settings.checkpoint_seconds,
            checkpoint_steps=settings.checkpoint_steps,
            keep_checkpoints=settings.keep_checkpoints,
            best=training.best,
            patience=settings.patience,
            deadline=self.deadline,
            later=self.later_steps(stage),
            interval=self._interval(),
            callbacks=training.callbacks,
        )
        return train(training.model, training.stream, job)

    def _interval(self):
        """Returns a function from an accuracy to its limits, or None on many images."""
        images = len(self.data.split.validation)
        if 0 < images < FEW:
            return lambda accuracy: share_interval(accuracy, images)
        return None

    # === Devices ===

    @property
    def is_chief(self):
        """Whether this process writes and speaks for all workers."""
        return workers(self.strategy)[0] == 0

    def quiet(self):
        """Returns the run with a `say` that shows nothing."""
        return dataclasses.replace(self, say=lambda text: None)

    def compiles_by_xla(self, gated=False):
        """Returns whether a stage's steps are compiled by XLA.

        Measured on CPUs: it speeds up a ViT in float32, slows it down in bfloat16, and
        makes depthwise convolutions dozens of times slower. It excludes running the
        student on fewer images, which saves more where the ViT is wide. Keras leaves it
        out when operations have to be deterministic, and over several devices.

        Args:
            gated: Bool or `"auto"`. Whether the step would leave images out.
        """
        settings = self.config.run
        if settings.xla != "auto":
            return settings.xla == "on"
        cpu = not tf.config.list_physical_devices("GPU")
        if gated is True or (gated and cpu and self.has_wide_vit()):
            return False
        alone = settings.strategy == "none" and not settings.deterministic
        vit = find_family(self.config.backbone.backbone) == "vit"
        return alone and vit and settings.precision == "float32"

    def has_wide_vit(self):
        """Returns whether matrix products are most of a ViT's work."""
        settings = self.config.backbone
        sizes = {**VIT_SIZES.get(settings.backbone, {}), **settings.overrides()}
        return sizes.get("width", 0) >= WIDE

    # === Networks and optimizers ===

    @property
    def num_classes(self):
        """The number of classes."""
        return len(self.data.class_names)

    def labeled_counts(self):
        """Returns how many labelled images each class has: `[K]`."""
        labels = self.data.parts.train.labels[self.data.split.labeled]
        return class_counts(labels, self.num_classes)

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

    def classifier(self, drop_path=0.0, learning=None, name="student"):
        """Builds the classifier of a labelled stage, or a bare one to predict with.

        Args:
            drop_path: Float.
            learning: Optional settings that say how labelled images are smoothed and
                mixed.
            name: String.
        """
        options = {}
        if learning is not None:
            options = {
                "label_smoothing": learning.label_smoothing,
                "mixup_alpha": learning.mixup_alpha,
                "cutmix_alpha": learning.cutmix_alpha,
            }
        # Networks of other packages have no drop path.
        backbone = self.backbone(**({"drop_path": drop_path} if drop_path else {}))
        return create_classifier(backbone, self.num_classes, name=name, **options)

    def optimizer(self, model, settings, steps_per_epoch, **options):
        """Builds the optimizer of a stage; see `stage_optimizer`."""
        return stage_optimizer(model, settings, steps_per_epoch, **options)

    def compile(self, model, optimizer, settings, **options):
        """Compiles a method with the micro-batches and the XLA of the settings."""
        model.compile(
            optimizer,
            batch_parts=settings.batch_parts,
            jit_compile=self.compiles_by_xla(options.get("gated", False)),
            **options,
        )
