"""What later stages gained over earlier ones, on the same held-out images."""

import dataclasses

from semivit_tf.evaluation.comparison import compare_predictions, verdict
from semivit_tf.stages.held_out import continued
from semivit_tf.stages.probe import Probe, probe_predictions
from semivit_tf.stages.served_weights import describe, validation_choice
from semivit_tf.stages.starting_weights import Kept, chosen_checkpoint

_AGAINST = "_against_"  # between what answers and what it is compared with
CHOICE = "export_choice"


def is_comparison(name):
    """Returns whether an entry of an evaluation is made from its predictions."""
    return _AGAINST in name or name == CHOICE


def finished_stages(run, stage):
    """Returns the finished stages whose classifiers a stage looks at, in order."""
    return [
        earlier
        for earlier in run.pipeline
        if earlier.name in stage.starts_from and run.stage_folder(earlier).done
    ]


def compared(run, stage, predicted):
    """Compares what answers after the last stage with what came before it.

    That is what the stage started from, and the linear probe of the same images.

    Args:
        run: `Run`.
        stage: `Stage` that evaluates.
        predicted: `Predictions`.
    """
    trained = finished_stages(run, stage)
    if not trained:
        return {}
    last = trained[-1]
    start, who = continued(run, last), last.kind.answers(run.settings(last))
    answer = " ".join(Kept(last, who, chosen_checkpoint(run, last)).names)
    if start is None or answer not in predicted.classes:
        return {}
    before, found = " ".join(start.names), {}
    name = f"{who}{_AGAINST}{start.stage_name}"
    found[name] = None
    if before in predicted.classes:
        found[name] = _comparison(predicted, before, answer)
        found[name]["of"] = last.kind.what_may_help(run.settings(last))
    for other, probed in _probed(run, predicted).items():
        both = dataclasses.replace(predicted, classes=predicted.classes | probed)
        found[f"{who}{_AGAINST}{other}"] = _comparison(both, other, answer)
    return found


def _comparison(predicted, before, after):
    before, after = (predicted.classes[name] for name in (before, after))
    return compare_predictions(predicted.labels, before, after)


def _probed(run, predicted):
    """Returns what the probes of this run answered on the same images, by stage."""
    found = {}
    for stage in run.pipeline:
        probed = (
            probe_predictions(run, stage) if isinstance(stage.kind, Probe) else None
        )
        if probed is not None and probed.same_images(predicted):
            found[stage.name] = {stage.name: next(iter(probed.classes.values()))}
    return found


def chosen(run, stage):
    """Returns how the weights to serve were chosen on validation images, if so."""
    choice = validation_choice(run, stage)
    return {CHOICE: choice} if choice else {}


def comparisons(content):
    """Returns a dict of what was compared with to the comparison, or to None."""
    return {
        name.partition(_AGAINST)[2]: found
        for name, found in content.items()
        if _AGAINST in name
    }


def sentences(content):
    """Returns what the comparisons of an evaluation say: the verdict comes first."""
    found = []
    for other, comparison in comparisons(content).items():
        if comparison is None:
            found.append(f"No comparison: {other} is not there any more.")
            continue
        images = content["results"][0]["images"]
        what = comparison.get("of", f"Training beyond the stage {other}")
        found.append(verdict(comparison, images, content["part"], what))
    choice = describe(content.get(CHOICE))
    return [*found, choice] if choice else found
