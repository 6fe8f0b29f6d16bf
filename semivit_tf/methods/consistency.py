"""What FixMatch and its kin share: how labels are learned, and who labels."""

from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.semi_supervised import SemiSupervised


class ConsistencyMethod(SemiSupervised):
    """The student, as it trains, labels the weak views and learns the strong ones.

    Labelled images are shown weakly and are neither smoothed nor mixed. The teacher, a
    moving average, answers and labels nothing. The weak views go through the student
    by themselves; published code lets them share a pass, and thereby batch statistics,
    with the other images.

    Args:
        backbone: See `SemiSupervised`; so are the arguments not listed here.
        num_classes: Integer K.
        labeler: A name in `LABELERS`.
        label_smoothing: Float in [0, 1).
        mixup_alpha: Float, for the labelled batch.
        cutmix_alpha: Float, for the labelled batch.
        **kwargs: Passed to `SemiSupervised`.
    """

    labeled_view = "weak"

    def __init__(
        self,
        backbone,
        num_classes=None,
        *,
        labeler="student_in_training",
        label_smoothing=0.0,
        mixup_alpha=0.0,
        cutmix_alpha=0.0,
        **kwargs,
    ):
        super().__init__(
            backbone,
            num_classes,
            labeler=labeler,
            label_smoothing=label_smoothing,
            mixup_alpha=mixup_alpha,
            cutmix_alpha=cutmix_alpha,
            **kwargs,
        )

    @staticmethod
    def default_teacher():
        return EMATeacher(0.999)
