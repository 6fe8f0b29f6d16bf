"""Settings of a run as a whole, and all settings together."""

import dataclasses
import json

from semivit_tf.config.settings import InputError, Settings, setting
from semivit_tf.config.stages import (
    FinetuneConfig,
    PretrainConfig,
    SemiFinetuneConfig,
)
from semivit_tf.config.task import BackboneConfig, DataConfig

STAGES = (
    "check",
    "pretrain",
    "probe",
    "finetune",
    "semi_finetune",
    "evaluate",
    "export",
)


@dataclasses.dataclass(frozen=True)
class RunConfig(Settings):
    """Where the run is kept and how it is carried out."""

    workdir: str | None = setting(None, "Folder of the run; needed.", identity=False)
    stages: str = setting(
        ",".join(name for name in STAGES if name != "probe"),
        f"Stages to run, of {','.join(STAGES)}, in this order.",
        identity=False,
    )
    plan: bool = setting(
        False,
        "Only say how long the stages would take and what they need, after a few steps "
        "of each.",
        identity=False,
    )
    seed: int = setting(
        0, "Seed of split, order, augmentation and weights.", low=0, high=2**63 - 1
    )
    strategy: str = setting(
        "none",
        "How the work is spread over devices.",
        choices=("none", "mirrored", "multi_worker", "tpu"),
        identity=False,
    )
    logical_cpus: int = setting(
        1, "Number of logical CPU devices.", low=1, identity=False
    )
    tpu: str | None = setting(None, "Name of the TPU to connect to.", identity=False)
    steps_per_execution: int = setting(
        1,
        "Training steps in one call from Python; progress, checkpoints and stopping "
        "happen between calls. On a TPU: 20 or more.",
        low=1,
        identity=False,
    )
    fit_batch_sizes: bool = setting(
        False,
        "Take batch sizes as upper limits: where there are fewer images, a step takes "
        "as many as replicas and micro-batches can share.",
    )
    precision: str = setting(
        "float32",
        "Number format of the computation.",
        choices=("float32", "mixed_bfloat16"),
    )
    xla: str = setting(
        "auto",
        "Compile training steps by XLA; auto, measured on CPUs only: a ViT in float32 "
        "on one CPU or GPU, but on a CPU not a wide ViT for which --semi_gated leaves "
        "images out. A TPU compiles all steps anyway.",
        choices=("auto", "on", "off"),
    )
    deterministic: bool = setting(
        False,
        "Give bit-identical results on every run; slower on some devices.",
        identity=False,
    )
    probe_labels: str = setting(
        "labeled",
        "What the stage probe learns from: the labelled images, or all training images "
        "whose labels are known.",
        choices=("labeled", "all"),
        identity=False,
    )
    validations: int = setting(20, "About how many times a stage is validated.", low=1)
    checkpoint_seconds: float = setting(
        60.0, "Seconds between checkpoints.", low=0.0, identity=False
    )
    checkpoint_steps: int | None = setting(
        None, "Steps between checkpoints, if earlier.", low=1, identity=False
    )
    keep_checkpoints: int = setting(
        2,
        "How many of the latest checkpoints are kept, besides the best on validation "
        "images.",
        low=1,
        identity=False,
    )
    checkpoint: str = setting(
        "auto",
        "Which weights a training stage hands on, to later stages, evaluation and "
        "export: the best on validation images, or the last; auto: the best where "
        "there are validation images.",
        choices=("auto", "best", "last"),
    )
    export_weights: str = setting(
        "auto",
        "Whose weights are served; auto: the teacher's if there is one.",
        choices=("auto", "student", "teacher"),
        identity=False,
    )
    export_version: int = setting(
        1, "Version number of the served model.", low=1, identity=False
    )

    def stage_names(self):
        """Returns the stages to run as a tuple."""
        return tuple(name.strip() for name in self.stages.split(",") if name.strip())

    def __post_init__(self):
        super().__post_init__()
        names = self.stage_names()
        unknown = [name for name in names if name not in STAGES]
        if unknown or not names:
            raise InputError(
                f"--stages should be of: {', '.join(STAGES)}. Received: {self.stages!r}"
            )
        if list(names) != sorted(set(names), key=STAGES.index):
            raise InputError(
                f"--stages should be in the order {','.join(STAGES)}, each once. "
                f"Received: {self.stages}"
            )
        if self.strategy == "multi_worker" and self.steps_per_execution > 1:
            raise InputError(
                "--steps_per_execution should be 1 with --strategy=multi_worker. "
                f"Received: {self.steps_per_execution}"
            )


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run."""

    data: DataConfig = DataConfig()
    backbone: BackboneConfig | None = None
    pretrain: PretrainConfig = PretrainConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    semi: SemiFinetuneConfig = SemiFinetuneConfig()
    run: RunConfig = RunConfig()

    def __post_init__(self):
        name = self.backbone.backbone if self.backbone else ""
        needed = [
            f"--{group.flag(field)}={value}"
            for group in (self.finetune, self.semi)
            for field, value in (("drop_path", 0), ("layer_decay", 1))
            if getattr(group, field) != value
        ]
        if ":" in name and needed:
            raise InputError(
                f"--backbone={name} has no drop path and no groups of layers, so it "
                f"needs {' '.join(needed)}"
            )

    @staticmethod
    def groups():
        """Returns a dict of attribute to the class of that group of settings."""
        return {
            "run": RunConfig,
            "data": DataConfig,
            "backbone": BackboneConfig,
            "pretrain": PretrainConfig,
            "finetune": FinetuneConfig,
            "semi": SemiFinetuneConfig,
        }

    def flags(self, identity_only=False):
        """Returns a flat dict of flag name to value."""
        return {
            group.flag(field.name): getattr(getattr(self, name), field.name)
            for name, group in self.groups().items()
            for field in dataclasses.fields(group)
            if field.metadata["identity"] or not identity_only
        }

    @classmethod
    def from_flags(cls, values):
        """Builds the settings from a flat dict; what it leaves out has its default."""
        unknown = set(values)
        groups = {}
        for name, group in cls.groups().items():
            fields = {f.name: group.flag(f.name) for f in dataclasses.fields(group)}
            unknown -= set(fields.values())
            given = {
                key: values[flag] for key, flag in fields.items() if flag in values
            }
            groups[name] = group(**given)
        if unknown:
            raise InputError(f"Unknown settings: {', '.join(sorted(unknown))}")
        return cls(**groups)

    def to_json(self):
        """Returns the settings as a JSON text with one line a flag."""
        return json.dumps(self.flags(), indent=2)

    @classmethod
    def from_json(cls, text):
        """Builds the settings from what `to_json` returned."""
        return cls.from_flags(json.loads(text))
