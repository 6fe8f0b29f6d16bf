"""Which weights are served, and where?"""

from semivit_tf.config.settings import InputError
from semivit_tf.export.saved_model import export_saved_model
from semivit_tf.training.checkpoints import load_weights

STAGE = "export"


def served_weights(run):
    """Returns the (stage, weights) to serve: the latest stage, the teacher if it has one."""
    wanted = run.config.run.export_weights
    if run.folder.stage("semi_finetune").done:
        return "semi_finetune", "teacher" if wanted == "auto" else wanted
    if wanted == "teacher":
        raise InputError("--export_weights=teacher needs the stage semi_finetune")
    return "finetune", "student"


def export(run):
    """Writes `export/<version>/`."""
    stage, weights = served_weights(run)
    network = run.classifier(name=weights)
    load_weights(network, run.folder.stage(stage).weights(weights))
    version = run.config.run.export_version
    path = export_saved_model(
        network,
        run.folder.path / "export",
        run.data.class_names,
        version,
        weights=weights,
    )
    run.folder.stage(STAGE).finish(stage=stage, weights=weights, version=version)
    return path
