"""Settings of the exported model."""

import dataclasses

from semivit_tf.config.settings import Settings, setting

SAVED_MODEL = "saved_model"
FORMATS = (SAVED_MODEL, "litert", "onnx")


@dataclasses.dataclass(frozen=True)
class ExportConfig(Settings):
    """What is exported, and in which format."""

    prefix = "export_"

    weights: str = setting(
        "auto",
        "Whose weights are served; auto: the teacher's if there is one, or those that "
        "stage 3 started from, where it is clearly worse on validation images.",
        choices=("auto", "student", "teacher"),
        identity=False,
    )
    version: int = setting(
        1, "Version number of the served model.", low=1, identity=False
    )
    format: str = setting(
        SAVED_MODEL,
        "A SavedModel, or also a file for LiteRT or ONNX Runtime beside it, which "
        "takes pixels and answers with probabilities.",
        choices=FORMATS,
        identity=False,
    )
    tolerate_bad_images: bool = setting(
        False,
        "Serve a model that marks images it cannot read as not valid, instead of "
        "failing their whole request.",
        identity=False,
    )

    def portable(self):
        """Returns the format of the file beside the SavedModel, or None."""
        return None if self.format == SAVED_MODEL else self.format
