"""The pipelines: the stages of each, in order, and what each one starts from."""

from semivit_tf.stages.check import Check
from semivit_tf.stages.evaluate import Evaluate
from semivit_tf.stages.export import Export
from semivit_tf.stages.finetune import Finetune
from semivit_tf.stages.pretrain import Pretrain
from semivit_tf.stages.probe import Probe
from semivit_tf.stages.semi_finetune import SemiFinetune
from semivit_tf.stages.stage import Stage

_CLASSIFIERS = ("finetune", "semi_finetune")

PIPELINES = {
    "semi_vit": (
        Stage("check", Check()),
        Stage("pretrain", Pretrain(), "pretrain"),
        Stage("probe", Probe(), starts_from=("pretrain",)),
        Stage("finetune", Finetune(), "finetune", starts_from=("pretrain",)),
        Stage("semi_finetune", SemiFinetune(), "semi", starts_from=("finetune",)),
        Stage("evaluate", Evaluate(), starts_from=_CLASSIFIERS),
        Stage("export", Export(), starts_from=_CLASSIFIERS),
    ),
}
