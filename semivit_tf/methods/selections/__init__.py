"""Which pseudo labels count, and how much? A weight in [0, 1] for each image.

A selection is a layer from probabilities `[U, K]` to weights `[U]`, called once for
each batch of a replica; `judge` does the same and learns nothing. Its state lies in
non-trainable variables, so it is saved and resumed with the model; what replicas assign
is averaged over them, or added.
"""

from semivit_tf.methods.selections.curriculum_threshold import CurriculumThreshold
from semivit_tf.methods.selections.fixed_threshold import FixedThreshold
from semivit_tf.methods.selections.self_adaptive_threshold import SelfAdaptiveThreshold
from semivit_tf.methods.selections.soft_weights import SoftWeights

SELECTIONS = {
    "fixed_threshold": FixedThreshold,
    "curriculum_threshold": CurriculumThreshold,
    "self_adaptive_threshold": SelfAdaptiveThreshold,
    "soft_weights": SoftWeights,
}
