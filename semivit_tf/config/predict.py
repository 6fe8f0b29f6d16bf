"""Settings of predictions on new images."""

import dataclasses
import pathlib

from semivit_tf.config.settings import InputError, Settings, setting

FORMATS = (".csv", ".jsonl", ".parquet")


@dataclasses.dataclass(frozen=True)
class PredictConfig(Settings):
    """An exported model answers images that need no labels and no run."""

    images: str | None = setting(
        None,
        "Images that the stage predict answers: a folder, a table with a column path, "
        "or a pattern such as 'new/**/*.jpg'.",
        identity=False,
        first=True,
    )
    model: str | None = setting(
        None,
        "Exported model that answers, a folder with saved_model.pb or the one above; "
        "default: the one that this run has exported.",
        identity=False,
    )
    predictions: str | None = setting(
        None,
        "File for the answers, whose ending says the format: .csv, .jsonl or .parquet; "
        "default: named as the images, in predictions/ of the run.",
        identity=False,
    )
    top_k: int = setting(
        5, "How many of the likeliest classes are listed.", low=1, identity=False
    )
    predict_batch_size: int = setting(
        64, "Images that go through the network at once.", low=1, identity=False
    )

    def __post_init__(self):
        super().__post_init__()
        ending = pathlib.PurePath(self.predictions or FORMATS[0]).suffix
        if self.predictions is not None and ending not in FORMATS:
            raise InputError(
                f"--predictions should end in {', '.join(FORMATS)}. "
                f"Received: {self.predictions}"
            )

    def file(self, workdir):
        """Returns the path of the file for the answers.

        Args:
            workdir: String. Folder of the run, in which it is without `--model`.
        """
        if self.predictions is not None:
            return pathlib.Path(self.predictions)
        name = pathlib.PurePath(self.images).stem
        if any(sign in name for sign in "*?[") or not name:
            name = "images"
        folder = pathlib.Path(workdir) / "predictions"
        return (pathlib.Path() if self.model else folder) / f"{name}{FORMATS[0]}"
