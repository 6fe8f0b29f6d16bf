"""An alarm for pseudo labels that have collapsed: they are many, and wrong."""

import sys

import keras

_EVEN = 0.5  # of the classes that labelled images are spread over
_MANY = 0.3  # share of the unlabelled images
_RIGHT = 0.5  # share of the pseudo labels that count, on validation images
_IMAGES = 5  # of a class, in an epoch: fewer say nothing of how even they are
_EPOCHS = 2  # in a row


class CollapseError(ArithmeticError):
    """The pseudo labels of a run have collapsed."""


class CollapseAlarm(keras.callbacks.Callback):
    """Writes a line, or stops, where two epochs in a row show collapsed pseudo labels.

    They have collapsed where many count, but they are spread over less than half of the
    classes that the labelled images are spread over; or where more than 30 % count, and
    less than half of those are right on validation images. Each epoch's logs get an
    entry `collapsed`, 1 or 0.

    Args:
        stage: String.
        images: Integer. Unlabelled images of an epoch.
        classes: Float. Over how many classes labelled images are spread, see
            `EffectiveClasses`.
        advice: String: what may help.
        stop: Bool. Whether to raise `CollapseError` instead.
        stream: Where to write.
    """

    def __init__(self, stage, images, classes, advice, stop=False, stream=None):
        super().__init__()
        self.stage = stage
        self.images = images
        self.classes = classes
        self.advice = advice
        self.stop = stop
        self.stream = stream or sys.stdout
        self._row, self._said = 0, False

    def found(self, logs):
        """Returns what shows a collapse in the logs of an epoch, or None."""
        kept, spread = logs.get("kept", 0.0), logs.get("pseudo_label_classes")
        counted = f"{100 * kept:.0f} % of the pseudo labels count"
        if spread is None:
            return None
        if kept * self.images >= _IMAGES * self.classes:
            if spread < _EVEN * self.classes:
                return (
                    f"{counted}, as uneven as {spread:.1f} classes; the labelled "
                    f"images are of {self.classes:.1f}"
                )
        right = logs.get("val_pseudo_label_precision", 1.0)
        share = logs.get("val_pseudo_label_coverage", 0.0)
        if share > _MANY and right < _RIGHT:
            return (
                f"{100 * share:.0f} % of the pseudo labels of validation images count, "
                f"and {100 * right:.0f} % of those are right"
            )
        return None

    def on_epoch_end(self, epoch, logs=None):
        logs = logs if logs is not None else {}
        found = self.found(logs)
        logs["collapsed"] = float(found is not None)
        self._row = self._row + 1 if found else 0
        if self._row < _EPOCHS or self._said:
            return
        text = f"{self.stage}: in epoch {epoch + 1} {found}. Try {self.advice}"
        if self.stop:
            raise CollapseError(text)
        self._said = True
        self.stream.write(f"\n{text}\n")
        self.stream.flush()
