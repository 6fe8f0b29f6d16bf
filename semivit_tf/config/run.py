"""Settings of a run as a whole."""

import dataclasses
import re

from semivit_tf.config.presets import PRESETS
from semivit_tf.config.settings import InputError, Settings, setting
from semivit_tf.config.stage_names import (
    GENERATIVE,
    LABELLING,
    NEW_IMAGES,
    PIPELINE_STAGES,
    STAGES,
)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclasses.dataclass(frozen=True)
class RunConfig(Settings):
    """Where the run is kept and how it is carried out."""

    workdir: str | None = setting(
        None,
        "Folder of the run; default: in runs, named as the data.",
        identity=False,
        first=True,
    )
    preset: str = setting(
        "balanced",
        "How much work, and which rates, where nothing is said: what fits the images "
        "and labels at hand, or published values for a million images.",
        choices=PRESETS,
        first=True,
    )
    pipeline: str = setting(
        "semi_vit",
        "Which stages there are: those of Semi-ViT, or further ones, in which a "
        "generator makes images that the classifier is trained on again (DPT).",
        choices=tuple(PIPELINE_STAGES),
        identity=False,
    )
    stages: str | None = setting(
        None,
        f"Stages to run, of {','.join(STAGES)}, in this order; with --pipeline=dpt "
        f"also logistic, before finetune, and {','.join(GENERATIVE)}, before "
        f"evaluate; then {','.join(LABELLING)} and, with --images, "
        f"{','.join(NEW_IMAGES)}; default: all but probe, foreign without "
        "--drop_foreign, judge, those after report and those of logistic regression, "
        "and with --init_from without pretrain.",
        identity=False,
        first=True,
    )
    plan: bool = setting(
        False,
        "Only say how long the stages would take and what they need, after a few steps "
        "of each.",
        identity=False,
        first=True,
    )
    seed: int = setting(
        0,
        "Seed of split, order, augmentation and weights.",
        low=0,
        high=2**63 - 1,
        first=True,
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
    time_limit: str | None = setting(
        None,
        "Time that a run may take, as in 30m or 2h: stages do less, where the preset's "
        "work would take longer.",
        identity=False,
        first=True,
    )
    patience: int | None = setting(
        None,
        "Validations in a row without an improvement after which a labelled stage "
        "ends; default: none do.",
        low=1,
    )
    memory_limit: str | None = setting(
        None,
        "Memory that may be used, as in 8g; batches are cut into micro-batches to stay "
        "below it. Default: what is free.",
        identity=False,
        first=True,
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
    probe_features: str | None = setting(
        None,
        "Folder in which the stage probe keeps the features of all images, for runs "
        "of other labels and seeds; default: none are kept.",
        identity=False,
    )
    check_from: str | None = setting(
        None,
        "Folder of another run on the same images, whose stage check has read them.",
        identity=False,
    )
    folds: int | None = setting(
        None,
        "Folds of the labelled images, each of which tests a network that has not "
        "learned it, in the stages probe and finetune; default: none.",
        low=2,
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
    logit_adjustment: float = setting(
        0.0,
        "How much of the log share of each class among the labelled images is taken "
        "out of the scores that are evaluated and served; 1 where all classes should "
        "count alike, 0 with --finetune_balanced or --semi_balanced.",
        low=0.0,
    )
    report_images: int = setting(
        96,
        "About how many training images the report shows; 0: no photographs at all.",
        low=0,
        identity=False,
    )
    abstain_precision: float | None = setting(
        None,
        "Serve abstain: whether an answer is not sure enough for this share of those "
        "that are to be right; the confidence is chosen on validation images.",
        low=0.5,
        high=0.9999,
        identity=False,
    )
    coverage: float | None = setting(
        None,
        "Serve class_set: classes of which one is right for this share of images; by "
        "validation images.",
        low=0.5,
        high=0.9999,
        identity=False,
    )

    def pipeline_stages(self):
        """Returns the names of all stages of the pipeline, in order."""
        return PIPELINE_STAGES[self.pipeline]

    def stage_names(self):
        """Returns the stages to run as a tuple."""
        return tuple(name.strip() for name in self.stages.split(",") if name.strip())

    def memory_limit_bytes(self):
        """Returns `memory_limit` as a number of bytes, or None."""
        found = self._measure("memory_limit", r"([kmgt]?)b?", "8g")
        return found and int(found[0] * 1000 ** " kmgt".index(found[1] or " "))

    def time_limit_seconds(self):
        """Returns `time_limit` as a number of seconds, or None."""
        found = self._measure("time_limit", "([smhd])", "30m")
        return found and found[0] * _SECONDS[found[1]]

    def _measure(self, name, unit, example):
        """Returns the number and the unit of a setting, or None where it is not set."""
        text = getattr(self, name)
        if text is None:
            return None
        found = re.fullmatch(rf"(\d+(?:\.\d+)?) *{unit}", text.lower())
        if not found:
            raise InputError(
                f"--{name} should be a number and a unit, as in {example}. "
                f"Received: {text!r}"
            )
        return float(found[1]), found[2]

    def __post_init__(self):
        super().__post_init__()
        self.memory_limit_bytes()
        if self.time_limit_seconds() == 0:
            raise InputError("--time_limit should be more than nothing. Received: 0")
        if self.time_limit and self.strategy == "multi_worker":
            raise InputError("--time_limit excludes --strategy=multi_worker")
        if self.patience and self.strategy == "multi_worker":
            raise InputError("--patience excludes --strategy=multi_worker")
        if self.stages is None:
            return  # `Config` knows
        names, known = self.stage_names(), self.pipeline_stages()
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise InputError(
                f"--stages should be of: {', '.join(known)}. Received: {self.stages!r}"
            )
        if list(names) != sorted(set(names), key=known.index):
            raise InputError(
                f"--stages should be in the order {','.join(known)}, each once. "
                f"Received: {self.stages}"
            )
        if self.strategy == "multi_worker" and self.steps_per_execution > 1:
            raise InputError(
                "--steps_per_execution should be 1 with --strategy=multi_worker. "
                f"Received: {self.steps_per_execution}"
            )
