"""The table of stages is the only place that names them."""

import ast
import pathlib
import re

import pytest

import semivit_tf
from semivit_tf.config import Config
from semivit_tf.config.stage_names import PIPELINE_STAGES
from semivit_tf.stages.finetune import Finetune
from semivit_tf.stages.stage import Stage, check_pipeline
from semivit_tf.stages.stage_table import PIPELINES

STAGES = set().union(*PIPELINE_STAGES.values())
PACKAGE = pathlib.Path(semivit_tf.__file__).parent
# Words that mean something else there: a view of an image, a room of the package, what
# a batch holds, a function of a selection, and a way to use labels.
NOT_A_STAGE = {
    ("methods", "pseudo_label"),
    ("methods", "judge"),
    ("augment", "pretrain"),
    ("data", "pretrain"),
    ("__init__.py", "export"),
    ("sweep", "probe"),
}
# Names that are no English words, and so stay names inside a sentence.
UNMISTAKABLE = re.compile(r"\b(pretrain|finetune|semi_finetune|retrain_semi)\b")


def strings(path):
    """Returns the string literals of a file that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in alone
    ]


def names_in(path):
    """Returns the names of stages that a file spells."""
    literals = strings(path)
    found = {text for text in literals if text in STAGES}
    return found.union(*(UNMISTAKABLE.findall(text) for text in literals))


def test_no_other_file_names_a_stage():
    seen = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        room, *rest = path.relative_to(PACKAGE).parts
        found = {name for name in names_in(path) if (room, name) not in NOT_A_STAGE}
        if room == "config" or (room, *rest) == ("stages", "stage_table.py"):
            seen |= found
        else:
            assert not found, path
    assert seen == STAGES  # the search finds them where they are


@pytest.mark.parametrize("name", PIPELINES)
def test_flags_know_the_stages_of_the_table(name):
    pipeline = PIPELINES[name]
    assert tuple(stage.name for stage in pipeline) == PIPELINE_STAGES[name]
    check_pipeline(pipeline)
    groups = Config.groups()
    assert {stage.settings for stage in pipeline} <= {None, *groups}
    for stage in pipeline:
        assert stage.settings or not stage.kind.trains


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([Stage("a", None), Stage("a", None)], "each name once. Received: 'a'"),
        ([Stage("b", Finetune(), starts_from=("a",))], "'a' before 'b'"),
        (
            [Stage("b", Finetune(), needs=("a",)), Stage("a", Finetune())],
            r"'a' before 'b', which goes on from it. Received before it: \[\]",
        ),
    ],
)
def test_a_pipeline_is_in_order(stages, message):
    with pytest.raises(ValueError, match=message):
        check_pipeline(stages)
