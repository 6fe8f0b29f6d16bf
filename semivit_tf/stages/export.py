"""Which weights are served, and where?"""

import pathlib

from semivit_tf.config.settings import InputError
from semivit_tf.export.saved_model import export_saved_model
from semivit_tf.stages.run import FROM_FILE


def served_weights(run, semi_supervised):
    """Returns the (stage, weights) to serve: the latest, a teacher if there is one.

    Where nothing was trained, that is what `--init_from` names.

    Args:
        run: `Run`.
        semi_supervised: Bool. Whether stage 3 is, or will be, there.
    """
    wanted = run.config.run.export_weights
    if run.answers_from_file:
        if wanted != "auto":
            raise InputError(
                f"--export_weights={wanted} needs weights that were trained here; "
                "--init_from has one network"
            )
        return FROM_FILE, pathlib.Path(run.config.backbone.init_from).name
    averaged = semi_supervised or run.config.finetune.ema_momentum is not None
    if wanted == "teacher" and not averaged:
        raise InputError(
            "--export_weights=teacher needs the stage semi_finetune, or "
            "--finetune_ema_momentum"
        )
    if wanted == "auto":
        wanted = "teacher" if averaged else "student"
    return "semi_finetune" if semi_supervised else "finetune", wanted


def check_version(run, stage, weights):
    """Refuses to replace a version that is already served by other weights."""
    exported = run.folder.read_json("export.json") or {}
    before = exported.get(str(run.config.run.export_version))
    if before and before != [stage, weights]:
        raise InputError(
            f"--export_version={run.config.run.export_version} exists and holds "
            f"{' '.join(before)}; choose another number for {stage} {weights}"
        )
    return exported


def export(run):
    """Writes `export/<version>/`, unless it is there; returns its path."""
    stage, weights = served_weights(run, run.folder.stage("semi_finetune").done)
    exported = check_version(run, stage, weights)
    version = run.config.run.export_version
    path = run.folder.path / "export" / str(version)
    if str(version) in exported and path.exists():
        return path
    network = run.classifier(name="student" if stage == FROM_FILE else weights)
    run.load_kept(network, stage, weights)
    export_saved_model(
        network,
        path.parent,
        run.data.class_names,
        version,
        central_share=run.data.central_share,
    )
    run.folder.write_json("export.json", {**exported, str(version): [stage, weights]})
    return path
