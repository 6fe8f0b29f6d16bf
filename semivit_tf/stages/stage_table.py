"""The pipelines: the stages of each, in order, and what each one starts from."""

from semivit_tf.stages.check import Check
from semivit_tf.stages.check_drift import CheckDrift
from semivit_tf.stages.evaluate import Evaluate
from semivit_tf.stages.export import Export
from semivit_tf.stages.finetune import Finetune
from semivit_tf.stages.foreign import Foreign
from semivit_tf.stages.generate import Generate
from semivit_tf.stages.generated_data import with_generated_images, with_pseudo_labels
from semivit_tf.stages.generator import Generator
from semivit_tf.stages.judge import Judge, with_true_labels
from semivit_tf.stages.label_next import LabelNext
from semivit_tf.stages.logistic import Logistic
from semivit_tf.stages.predict import Predict
from semivit_tf.stages.pretrain import Pretrain
from semivit_tf.stages.probe import Probe
from semivit_tf.stages.pseudo_label import PseudoLabel
from semivit_tf.stages.report import Report
from semivit_tf.stages.semi_finetune import SemiFinetune
from semivit_tf.stages.stage import Stage
from semivit_tf.stages.suspects import Suspects

_CLASSIFIERS = ("finetune", "semi_finetune")

_LABELERS = ("logistic", *_CLASSIFIERS)
_RETRAINED = (*_LABELERS, "retrain_logistic", "retrain", "retrain_semi")
_GENERATED = with_generated_images("generate")

_LEARN = (
    Stage("check", Check()),
    Stage("pretrain", Pretrain(), "pretrain"),
    Stage("probe", Probe(), starts_from=("pretrain",)),
    Stage("finetune", Finetune(), "finetune", starts_from=("pretrain",)),
    Stage("foreign", Foreign(), "foreign_images", starts_from=("finetune",)),
    Stage("semi_finetune", SemiFinetune(), "semi", starts_from=("finetune",)),
)
_GENERATE = (
    Stage("pseudo_label", PseudoLabel(), starts_from=_LABELERS),
    Stage(
        "generator",
        Generator(),
        "generator",
        needs=("pseudo_label",),
        data=with_pseudo_labels("pseudo_label"),
    ),
    Stage("generate", Generate(), "generate", needs=("generator",)),
    Stage(
        "judge",
        Judge(),
        "judge",
        needs=("pseudo_label", "generate"),
        data=with_true_labels,
    ),
)
# The same again, on labelled and generated images.
_RETRAIN = tuple(
    Stage(name, kind, settings, (start,), ("generate",), _GENERATED, repeats=repeated)
    for name, kind, settings, start, repeated in (
        ("retrain_logistic", Logistic(), None, "pretrain", "logistic"),
        ("retrain", Finetune(), "finetune", "pretrain", "finetune"),
        ("retrain_semi", SemiFinetune(), "semi", "retrain", "semi_finetune"),
    )
)

_SUSPECTS = Stage("suspects", Suspects(), starts_from=("pretrain",))
# What an exported model says of new images.
_NEW_IMAGES = (
    Stage("predict", Predict(), "new_images", starts_from=("export",)),
    Stage("check_drift", CheckDrift(), "new_images", starts_from=("export",)),
)

PIPELINES = {
    "semi_vit": (
        *_LEARN,
        Stage("evaluate", Evaluate(), starts_from=_CLASSIFIERS),
        Stage("export", Export(), starts_from=_CLASSIFIERS),
        Stage("report", Report(), starts_from=_CLASSIFIERS),
        Stage("label_next", LabelNext(), "labelling", starts_from=_CLASSIFIERS),
        _SUSPECTS,
        *_NEW_IMAGES,
    ),
    "dpt": (
        *_LEARN[:3],
        Stage("logistic", Logistic(), starts_from=("pretrain",)),
        *_LEARN[3:],
        *_GENERATE,
        *_RETRAIN,
        Stage("evaluate", Evaluate(), starts_from=_RETRAINED),
        Stage("export", Export(), starts_from=_RETRAINED),
        Stage("report", Report(), starts_from=_RETRAINED),
        Stage("label_next", LabelNext(), "labelling", starts_from=_RETRAINED),
        _SUSPECTS,
        *_NEW_IMAGES,
    ),
}
