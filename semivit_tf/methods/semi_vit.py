"""Semi-ViT: the student learns from probabilistically mixed pseudo-labelled images."""

from collections.abc import Callable

import keras

from semivit_tf.methods.mixings.probabilistic_mixing import ProbabilisticMixing
from semivit_tf.methods.parts import set_part
from semivit_tf.methods.selections.fixed_threshold import FixedThreshold
from semivit_tf.methods.semi_supervised import SemiSupervised


@keras.saving.register_keras_serializable(package="semivit_tf")
class SemiViT(SemiSupervised):
    """An EMA teacher labels the weak views; the student learns the mixed strong views.

    A mixed image counts where the more confident of its two sources reaches the
    threshold.

    Args:
        backbone: See `SemiSupervised`; so are the arguments not listed here.
        num_classes: Integer K.
        threshold: Float. The confidence from which a pseudo label is used.
        cutmix_probability: Float. Each unlabelled image's chance of cutmix instead of
            mixup.
        unlabeled_weight: Float or schedule.
        **kwargs: Passed to `SemiSupervised`. A `selection` or `mixing` takes the place
            of the threshold or of the probabilistic mixing.

    Reference:
        Cai et al., Semi-supervised Vision Transformers at Scale, 2022.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        threshold: float = 0.6,
        cutmix_probability: float = 0.5,
        unlabeled_weight: float | Callable = 5.0,
        **kwargs,
    ):
        kwargs.setdefault("name", "semi_vit")
        mixing = ProbabilisticMixing(cutmix_probability)
        set_part(kwargs, "selection", "fixed_threshold", FixedThreshold(threshold))
        set_part(kwargs, "mixing", "probabilistic", mixing)
        super().__init__(
            backbone, num_classes, unlabeled_weight=unlabeled_weight, **kwargs
        )
