"""All settings of a run together, to and from flags and JSON."""

import dataclasses
import json
import pathlib

from semivit_tf.config.backbone import BackboneConfig
from semivit_tf.config.data import DataConfig
from semivit_tf.config.export import ExportConfig
from semivit_tf.config.finetune import FinetuneConfig
from semivit_tf.config.foreign import ForeignConfig
from semivit_tf.config.generator import GenerateConfig, GeneratorConfig
from semivit_tf.config.judge import JudgeConfig
from semivit_tf.config.labelling import LabellingConfig
from semivit_tf.config.method_settings import MethodSettings
from semivit_tf.config.predict import PredictConfig
from semivit_tf.config.presets import PUBLISHED
from semivit_tf.config.pretrain import PRETRAIN_METHODS, PretrainConfig
from semivit_tf.config.run import RunConfig
from semivit_tf.config.semi import SemiFinetuneConfig
from semivit_tf.config.semi_methods import SEMI_METHODS
from semivit_tf.config.settings import InputError
from semivit_tf.config.stage_names import FOREIGN, LABELLING, NEW_IMAGES, PREDICT
from semivit_tf.config.sweep import SweepConfig

# The settings of a stage that name its method, and the methods' own settings.
METHODS = {
    "pretrain_method": ("pretrain", PRETRAIN_METHODS),
    "semi_method": ("semi", SEMI_METHODS),
}


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run.

    `pretrain_method` and `semi_method` are those of the methods that `pretrain.method`
    and `semi.method` name.
    """

    data: DataConfig = DataConfig()
    backbone: BackboneConfig | None = None
    pretrain: PretrainConfig = PretrainConfig()
    pretrain_method: MethodSettings | None = None
    finetune: FinetuneConfig = FinetuneConfig()
    foreign_images: ForeignConfig = ForeignConfig()
    semi: SemiFinetuneConfig = SemiFinetuneConfig()
    semi_method: MethodSettings | None = None
    generator: GeneratorConfig = GeneratorConfig()
    generate: GenerateConfig = GenerateConfig()
    labelling: LabellingConfig = LabellingConfig()
    new_images: PredictConfig = PredictConfig()
    judge: JudgeConfig = JudgeConfig()
    export: ExportConfig = ExportConfig()
    run: RunConfig = RunConfig()
    sweep: SweepConfig = SweepConfig()

    def __post_init__(self):
        for name, (stage, methods) in METHODS.items():
            method = methods[getattr(self, stage).method]
            if getattr(self, name) is None:
                object.__setattr__(self, name, method())
        object.__setattr__(self, "run", self._run_of_this())
        self._check_foreign_network()
        self._check_predicted_images()
        self._check_sweep()

    def _run_of_this(self):
        """Returns the settings of the run, with its stages and its folder."""
        found = {}
        if self.run.stages is None:
            left_out = {"probe", "logistic", "judge", "retrain_logistic"}
            left_out.update((*LABELLING, *NEW_IMAGES))
            if self.backbone and self.backbone.init_from:
                left_out.add("pretrain")  # there are features already
            if not self.foreign_images.drop_foreign:
                left_out.add(FOREIGN)
            stages = self.run.pipeline_stages()
            names = [name for name in stages if name not in left_out]
            found["stages"] = ",".join(names)
        if self.run.workdir is None:
            name = pathlib.PurePath(self.data.data_dir or self.data.dataset).stem
            of_many = "_sweep" if self.sweep.labels else ""
            found["workdir"] = f"runs/{name.replace(':', '_') or 'here'}{of_many}"
        return self.run.with_values(**found)

    def _check_foreign_network(self):
        """Refuses settings that a network from outside cannot follow."""
        name = self.backbone.backbone if self.backbone else ""
        published = self.run.preset == PUBLISHED
        needed = [
            f"--{group.flag(field)}={value}"
            for group in (self.finetune, self.semi)
            for field, value in (("drop_path", 0), ("layer_decay", 1))
            if getattr(group, field) != value and (published or field in group.said)
        ]
        if ":" in name and needed:
            raise InputError(
                f"--backbone={name} has no drop path and no groups of layers, so it "
                f"needs {' '.join(needed)}"
            )

    def _check_predicted_images(self):
        """Refuses new images that no stage asks for, and the other way round."""
        asked = [name for name in NEW_IMAGES if name in self.run.stage_names()]
        if asked and self.new_images.images is None:
            raise InputError(
                f"--stages={asked[0]} needs --images: a folder, a table or a pattern"
            )
        users = {"images": NEW_IMAGES, "model": NEW_IMAGES, "predictions": (PREDICT,)}
        for name, stages in users.items():
            value = getattr(self.new_images, name)
            if value is not None and not set(stages) & set(asked):
                raise InputError(
                    f"--{name}={value} is for the stage {' or '.join(stages)}, which "
                    f"is not asked for. Received: --stages={self.run.stages}"
                )

    def _check_sweep(self):
        """Refuses what a sweep cannot do."""
        excluded = {
            "--plan": self.run.plan,
            "--strategy=multi_worker": self.run.strategy == "multi_worker",
            "--folds": self.run.folds,
            "--labels": self.data.labels,
        }
        for flag, given in excluded.items():
            if given and self.sweep.labels:
                raise InputError(f"--sweep_labels={self.sweep.labels} excludes {flag}")

    @staticmethod
    def groups():
        """Returns a dict of attribute to the classes that it may be of."""
        return {
            "run": (RunConfig,),
            "sweep": (SweepConfig,),
            "data": (DataConfig,),
            "backbone": (BackboneConfig,),
            "pretrain": (PretrainConfig,),
            "pretrain_method": tuple(PRETRAIN_METHODS.values()),
            "finetune": (FinetuneConfig,),
            "foreign_images": (ForeignConfig,),
            "semi": (SemiFinetuneConfig,),
            "semi_method": tuple(SEMI_METHODS.values()),
            "generator": (GeneratorConfig,),
            "generate": (GenerateConfig,),
            "labelling": (LabellingConfig,),
            "new_images": (PredictConfig,),
            "judge": (JudgeConfig,),
            "export": (ExportConfig,),
        }

    @classmethod
    def fields(cls):
        """Returns a dict of flag to `(attribute, class, field)`, each flag once.

        A field that all methods of a stage share is listed under the class that they
        inherit it from.
        """
        found = {}
        for name, classes in cls.groups().items():
            for group in classes:
                for field in dataclasses.fields(group):
                    owner = _owner(group, field) if name in METHODS else group
                    found.setdefault(group.flag(field.name), (name, owner, field))
        return found

    def flags(self, identity_only=False):
        """Returns a flat dict of flag name to value.

        None: a method has no such setting, or it was not said and will be derived.
        """
        found = {}
        for flag, (name, owner, field) in self.fields().items():
            if field.metadata["identity"] or not identity_only:
                group = getattr(self, name)
                has = isinstance(group, owner)
                said = has and field.name in group.said
                told = has and (said or not field.metadata["derived"])
                found[flag] = getattr(group, field.name) if told else None
        return found

    @classmethod
    def from_flags(cls, values):
        """Builds the settings from a flat dict; what it leaves out has its default."""
        fields = cls.fields()
        unknown = set(values) - set(fields)
        if unknown:
            raise InputError(f"Unknown settings: {', '.join(sorted(unknown))}")
        groups = {}
        for name, (group, *others) in cls.groups().items():
            if others:
                group = _chosen_method(name, groups, values)
            groups[name] = group(
                **{
                    field.name: values[group.flag(field.name)]
                    for field in dataclasses.fields(group)
                    if group.flag(field.name) in values
                }
            )
        return cls(**groups)

    def command_line(self):
        """Returns the flags, as on a command line, that are not at their defaults."""
        fields = self.fields()
        return [
            f"--{flag}={value}"
            for flag, value in self.flags().items()
            if value != fields[flag][2].default
        ]

    def to_json(self):
        """Returns the settings as a JSON text with one line a flag."""
        return json.dumps(self.flags(), indent=2)

    @classmethod
    def from_json(cls, text):
        """Builds the settings from what `to_json` returned."""
        return cls.from_flags(json.loads(text))


def described_default(name, field):
    """Returns a field's default for the help; where methods differ, that of each.

    Args:
        name: String, the attribute of `Config` that the field belongs to.
        field: Dataclass field.
    """
    text = field.default
    usual = field.metadata["usual"]
    if name in METHODS:
        texts = [] if usual is None else [str(usual)]
        for method in METHODS[name][1].values():
            if method.default(field) != usual:
                texts.append(f"{method.name}: {method.default(field)}")
        text = "; ".join(texts) or None
    elif usual is not None:
        text = usual
    if field.metadata["derived"] and text is not None:
        return f"derived; published: {text}"
    return text


def _owner(group, field):
    """Returns the first class, from the base on, that has a field."""
    return next(
        base
        for base in reversed(group.__mro__)
        if field.name in getattr(base, "__dataclass_fields__", {})
    )


def _chosen_method(name, groups, values):
    """Returns the settings class of the method that was chosen.

    Refuses flags that only other methods of stage 3 have. Those of pre-training are
    left aside, so that `--pretrain_method` can be changed after a flagfile.
    """
    stage, methods = METHODS[name]
    chosen = methods[groups[stage].method]
    if name != "semi_method":
        return chosen
    own = {chosen.flag(field.name) for field in dataclasses.fields(chosen)}
    for method in methods.values():
        for field in dataclasses.fields(method):
            flag = method.flag(field.name)
            if flag not in own and values.get(flag) is not None:
                raise InputError(
                    f"--{flag} is not a setting of "
                    f"--{groups[stage].flag('method')}={chosen.name}. "
                    f"Received: {values[flag]}; --{flag}= takes it back"
                )
    return chosen
