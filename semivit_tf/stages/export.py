"""The kind of stage that writes the SavedModel of one classifier."""

from semivit_tf.checksum import digest_of_folder
from semivit_tf.config.settings import InputError
from semivit_tf.export.calibration import Calibration
from semivit_tf.export.portable_file import check_packages, portable_file
from semivit_tf.export.saved_model import export_saved_model
from semivit_tf.stages import calibration
from semivit_tf.stages.drift_reference import FEWEST, reference_of
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.held_out import predict_with
from semivit_tf.stages.result_file import (
    DamagedResultError,
    read_result,
    write_result,
)
from semivit_tf.stages.served_weights import candidates, served_weights
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import (
    check_answer,
)


class Export(Kind):
    """Exports the latest classifier to `<stage>/<version>/`."""

    def needs_weights(self, settings):
        return True

    def check(self, run, stage):
        possible = candidates(run, stage)
        check_network(run, possible[0])
        check_version(run, stage, possible)
        check_answer(run, stage)
        check_portable(run)
        return run

    def carry_out(self, run, stage):
        run.say(f"{stage.name}: {export(run, stage)}")


def check_network(run, served):
    """Refuses to serve a network that is not, or will not be, there."""
    wanted = run.config.export.weights
    if served.stage is None:
        if wanted != "auto":
            raise InputError(
                f"--export_weights={wanted} needs weights that were trained here; "
                "--init_from has one network"
            )
    elif served.network not in run.networks(served.stage):
        networks = ", ".join(run.networks(served.stage))
        raise InputError(
            f"--export_weights={wanted} should be a network that the stage "
            f"{served.stage.name} keeps: {networks}"
        )


def check_portable(run):
    """Refuses a format whose packages are not installed."""
    if run.config.export.portable():
        with input_errors():
            check_packages(run.config.export.portable())


def check_version(run, stage, possible):
    """Refuses to replace a version that other weights are served by already.

    Args:
        run: `Run`.
        stage: `Stage`.
        possible: List of the `Kept` weights of which some are served.

    Returns:
        Dict of each exported version to the names and the digest of its weights, and
        the digest of its files.
    """
    try:
        exported = read_result(_file(run, stage)) or {}
    except DamagedResultError as error:
        raise InputError(
            f"{error}: without it, --export_version={run.config.export.version} is "
            "exported again"
        ) from error
    version = run.config.export.version
    before = exported.get(str(version))
    if before and before["weights"] not in [kept.names for kept in possible]:
        raise InputError(
            f"--export_version={version} exists and holds "
            f"{' '.join(before['weights'])}; choose another number for "
            f"{' '.join(possible[0].names)}"
        )
    return exported


def _file(run, stage):
    return run.folder.path / f"{stage.name}.json"


def export(run, stage):
    """Writes `<stage>/<version>/`, unless it is there; returns its path.

    A version is written again if its weights, its own files or what is asked of its
    answers have changed.
    """
    served = served_weights(run, stage)
    exported = check_version(run, stage, [served])
    version, portable = run.config.export.version, run.config.export.portable()
    path = run.stage_folder(stage).path / str(version)
    weights, before = served.digest(run), exported.get(str(version))
    if before and path.exists():
        if before["weights_sha256"] != weights:
            changed = " ".join(served.names)
        elif before.get("asked") != calibration.promises(run):
            changed = "what is asked of its answers"
        elif portable and not portable_file(path, portable).exists():
            changed = "the format"
        elif before["files_sha256"] != digest_of_folder(path):
            changed = "its files"
        else:
            return path
        run.say(f"{path}: {changed} changed since it was exported: exported again")
    run.seed_stage(stage)  # random states of layers are served, too
    network = run.classifier(name=served.network if served.stage else "student")
    fitted, validation = None, run.data.validation()
    if validation is None:
        served.load(run, network)
    else:
        known = predict_with(network, run)(served, validation)
        fitted = calibration.fit(*known, **calibration.promises(run))
    run.say(calibration.describe(fitted, run.data.class_names))
    answers = fitted.served() if fitted else Calibration()
    reference = reference_of(run, network, answers)
    if reference is None:
        run.say(f"fewer than {FEWEST} images of any kind: the model tells no drift")
    export_saved_model(
        network,
        path.parent,
        run.data.class_names,
        version,
        central_share=run.data.central_share,
        max_pixels=run.data.max_pixels,
        tolerate_bad_images=run.config.export.tolerate_bad_images,
        calibration=answers,
        portable=portable,
        drift_reference=reference,
        overwrite=True,  # what an interrupted stage has left
    )
    exported[str(version)] = {
        "weights": served.names,
        "weights_sha256": weights,
        "files_sha256": digest_of_folder(path),
        "asked": calibration.promises(run),
        "fitted": fitted and fitted.described(),
    }
    write_result(_file(run, stage), exported)
    return path
