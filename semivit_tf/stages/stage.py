"""One stage of a pipeline, and what a kind of stage has to be able to do."""

import dataclasses
from collections.abc import Callable

from semivit_tf.data.dataset import Dataset


class Kind:
    """What a stage does. It knows no stage by name: each call is told its `Stage`.

    Kinds that train are `TrainingKind`s. A kind holds no state, so several stages may
    share one.
    """

    trains = False
    # Whether it makes pseudo labels, which validation can tell how good they are.
    labels_images = False
    # Whether the stage may leave images out. Then it comes before the split is kept,
    # and `carry_out` returns the `Run` that goes on.
    settles_data = False
    # Whether it does more with `--folds`.
    uses_folds = False
    # Whether it needs the images of the run, and its folder for itself. What does not
    # can be asked for by itself, by the folder of the run alone.
    needs_data = True

    def needs_weights(self, settings) -> bool:
        """Returns whether the stage cannot start from scratch."""
        return False

    def from_scratch(self, settings) -> bool:
        """Returns whether the stage is told to start from scratch."""
        return False

    def answers(self, settings) -> str | None:
        """Returns which of the networks answers: a method with labels knows it.

        None: none does, and there is nothing by which epochs are compared.
        """
        return None

    def check(self, run, stage):
        """Refuses what cannot work, before anything is run or written.

        Returns:
            The `Run` that goes on, with what was settled on the way.
        """
        return run

    def learns_from(self, run, stage):
        """Returns the run with the images that the stage learns from, as it begins."""
        return run

    def carry_out(self, run, stage):
        """Runs the stage, unless it is finished, and says what came out."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Stage:
    """One row of a pipeline.

    Attributes:
        name: String. The value for `--stages`, the folder in the run's folder, and the
            name in all messages.
        kind: `Kind`.
        settings: Optional name of the group of settings in `Config`.
        starts_from: Names of earlier stages. It starts from the weights of the latest
            of them that is there; see `starting_weights.py`.
        needs: Names of earlier stages that have to be finished or asked for as well.
        data: Optional function from the `Run` to the stage's own `Dataset`, called when
            the stage runs. Defaults to the run's.
        repeats: Optional name of an earlier stage that it repeats on other data. It
            starts from the same random state, so on the same data it does the same.
    """

    name: str
    kind: Kind
    settings: str | None = None
    starts_from: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    data: Callable[..., Dataset] | None = None
    repeats: str | None = None


def check_pipeline(pipeline) -> None:
    """Refuses a sequence of stages in which one goes on from what does not precede."""
    earlier: list[str] = []
    for stage in pipeline:
        if stage.name in earlier:
            raise ValueError(
                "`pipeline` should have each name once. "
                f"Received: {stage.name!r} several times"
            )
        for name in (*stage.starts_from, *stage.needs):
            if name not in earlier:
                raise ValueError(
                    f"`pipeline` should have {name!r} before {stage.name!r}, which "
                    f"goes on from it. Received before it: {earlier}"
                )
        earlier.append(stage.name)
