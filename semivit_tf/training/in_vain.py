"""What a stage does in vain, said while there is time to stop it."""

import math
import sys

import keras

_NOTHING = 0.005  # share of the pseudo labels
_NEAR_CHANCE = 0.98  # of the loss of one who guesses


class SayInVain(keras.callbacks.Callback):
    """Writes a line after a third of the epochs, if nothing has been learned by then.

    That is a loss of labelled images which is still that of guessing, or pseudo labels
    of which none counts.

    Args:
        stage: String.
        epochs: Integer.
        classes: Integer K. Guessing has the loss log K, however labels are smoothed.
        advice: Dict of `"loss"` and `"kept"` to what may help.
        stream: Where to write.
    """

    def __init__(self, stage, epochs, classes, advice, stream=None):
        super().__init__()
        self.stage = stage
        self.epochs = epochs
        self.chance = math.log(classes)
        self.advice = advice
        self.stream = stream or sys.stdout

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 != math.ceil(self.epochs / 3):
            return
        logs = logs or {}
        loss = logs.get("labeled_loss", logs.get("loss"))
        if loss is not None and loss >= _NEAR_CHANCE * self.chance:
            found = f"the loss is {loss:.3f}, and guessing has {self.chance:.3f}"
            self._say(found, self.advice["loss"])
        if logs.get("kept", 1.0) < _NOTHING:
            share = f"{100 * logs['kept']:.1f} % of the pseudo labels count"
            self._say(share, self.advice["kept"])

    def _say(self, found, advice):
        self.stream.write(
            f"\n{self.stage}: after a third of its epochs {found}. Try {advice}\n"
        )
        self.stream.flush()
