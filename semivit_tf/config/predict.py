"""Settings of what an exported model says of new images."""

import dataclasses
import pathlib

from semivit_tf.config.settings import InputError, Settings, setting

FORMATS = (".csv", ".jsonl", ".parquet")


@dataclasses.dataclass(frozen=True)
class PredictConfig(Settings):
    """An exported model answers images that need no labels and no run."""

    images: str | None = setting(
        None,
        "Images that the stages predict and check_drift are about: a folder, a table "
        "with a column path, or a pattern such as 'new/**/*.jpg'.",
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
    drift_images: int = setting(
        500,
        "New images, at most, that the stage check_drift draws and compares.",
        low=20,
        high=10_000,
        identity=False,
    )
    drift_alarms: float = setting(
        0.05,
        "How often check_drift may find drift where there is none.",
        low=0.002,
        high=0.5,
        identity=False,
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
        folder = pathlib.Path(workdir) / "predictions"
        folder = pathlib.Path() if self.model else folder
        return folder / f"{self._name_of_images()}{FORMATS[0]}"

    def drift_file(self, workdir):
        """Returns the path of what is found out about drift.

        Args:
            workdir: See `file`.
        """
        folder = pathlib.Path() if self.model else pathlib.Path(workdir) / "drift"
        return folder / f"{self._name_of_images()}.drift.json"

    def _name_of_images(self):
        name = pathlib.PurePath(self.images).stem
        known = name and not any(sign in name for sign in "*?[")
        return name if known else "images"
