"""Mean Teacher: the student's probabilities should be those of its moving average."""

from collections.abc import Callable

import keras

from semivit_tf.methods.pi_model import PiModel


@keras.saving.register_keras_serializable(package="semivit_tf")
class MeanTeacher(PiModel):
    """The Pi-model, with targets by the teacher, in inference mode.

    Args:
        backbone: See `PiModel`; so are all other arguments.

    Reference:
        Tarvainen and Valpola, Mean teachers are better role models, 2017.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        labeler: str = "teacher",
        unlabeled_weight: float | Callable = 50.0,
        **kwargs,
    ):
        kwargs.setdefault("name", "mean_teacher")
        super().__init__(
            backbone,
            num_classes,
            labeler=labeler,
            unlabeled_weight=unlabeled_weight,
            **kwargs,
        )
