"""Cross-validation of a stage: it trains without each fold, which then tests it.

With `--folds=5`, a stage that learns from labels is preceded by five stages like it and
one that sums them up. None of the labelled images is lost: the stage itself, which
later ones go on from, learns all of them.
"""

import copy
import dataclasses

import numpy as np

from semivit_tf.data.folds import fold_numbers
from semivit_tf.evaluation.cross_validation import counted
from semivit_tf.evaluation.interval import in_percent
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.finetune import Finetune
from semivit_tf.stages.held_out import predict_with
from semivit_tf.stages.stage import Kind, Stage
from semivit_tf.stages.starting_weights import Kept


def folds_of(run, usual=None):
    """Returns the fold of each labelled image of a run, as `fold_numbers`.

    Args:
        run: `Run`.
        usual: Optional integer. How many folds there are without `--folds`.
    """
    train, labeled = run.data.parts.train, run.data.split.labeled
    groups = None if train.groups is None else train.groups[labeled]
    settings = run.config.run
    with input_errors():
        return fold_numbers(
            train.labels[labeled], settings.folds or usual, settings.seed, groups
        )


class FoldFinetune(Finetune):
    """Fine-tuning without one fold of the labelled images.

    Args:
        number: Integer. The fold, from 0 on.
    """

    uses_folds = True

    def __init__(self, number):
        self.number = number

    def check(self, run, stage):
        folds_of(run)
        return super().check(run, stage)

    def carry_out(self, run, stage):
        others = run.data.split.labeled[folds_of(run) != self.number]
        data = with_labeled(run.data, others)
        super().carry_out(dataclasses.replace(run, data=data), stage)


class CrossValidate(Kind):
    """Tests what the stages that it needs have learned, each on its own fold.

    Args:
        trained: Tuple of `Stage`, whose kinds are `FoldFinetune`.
    """

    def __init__(self, trained):
        self.trained = trained

    def carry_out(self, run, stage):
        content = cross_validated(run, self.trained)
        run.folder.write_json(f"{stage.name}.json", content)
        run.say(f"{stage.name}: {describe(content)}")


def cross_validated(run, trained):
    """Returns how often the images of all folds were classified rightly."""
    return summed_up(
        [
            scores.sum(axis=1).argmax(axis=1) == labels
            for _, labels, scores in held_out_answers(run, trained)
        ]
    )


def held_out_answers(run, trained):
    """Yields of each fold which labelled images it has, their labels, their scores.

    The scores are those of the network that has not learned the fold.

    Args:
        run: `Run`.
        trained: Sequence of `Stage`, whose kinds are `FoldFinetune`.
    """
    labeled, folds = run.data.split.labeled, folds_of(run)
    predict = predict_with(run.classifier(), run)
    for stage in trained:
        apart = folds == stage.kind.number
        kept = Kept(stage, stage.kind.answers(run.settings(stage)), "last")
        yield apart, *predict(kept, run.data.as_evaluated(labeled[apart]))


def summed_up(right):
    """Returns what folds found together.

    Args:
        right: List of bool arrays, one for each fold.
    """
    together = np.concatenate(right)
    return {
        "folds": len(right),
        "images": len(together),
        **counted(together),
        "accuracy_of_folds": [float(fold.mean()) for fold in right],
    }


def describe(content):
    """Returns what a person should read of it."""
    accuracy, images = content["accuracy"], content["images"]
    return (
        f"accuracy {in_percent(accuracy, images)} on {images} labelled images, each "
        f"learned by {content['folds'] - 1} of {content['folds']} networks"
    )


def with_folds(pipeline, folds):
    """Returns a pipeline in which stages that can be are preceded by their folds."""
    found = []
    for stage in pipeline:
        if folds and type(stage.kind) is Finetune:
            found += fold_stages(stage, folds)
        found.append(stage)
    return tuple(found)


def fold_stages(stage, folds):
    """Returns the stages that cross-validate one."""
    trained = tuple(
        dataclasses.replace(
            stage,
            name=f"{stage.name}_fold{number + 1}of{folds}",
            kind=FoldFinetune(number),
        )
        for number in range(folds)
    )
    names = tuple(one.name for one in trained)
    return [*trained, Stage(f"{stage.name}_folds", CrossValidate(trained), needs=names)]


def wanted_with_folds(pipeline, names):
    """Returns the stages of a pipeline that are asked for, with their folds.

    Args:
        pipeline: What `with_folds` returned.
        names: Names that were asked for.
    """
    found = []
    for stage in pipeline:
        of, _, rest = stage.name.partition("_fold")
        if stage.name in names or (rest and of in names):
            found.append(stage)
    return found


def with_labeled(data, labeled):
    """Returns the same `Dataset` with only some of the labelled images, by index."""
    other = copy.copy(data)
    other.split = dataclasses.replace(data.split, labeled=labeled)
    return other
