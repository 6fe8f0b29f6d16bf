"""Which pseudo labels count, and how much? A weight in [0, 1] for each image.

A selection is a layer from probabilities `[U, K]` to weights `[U]`, called once for
each batch of a replica. Its state lies in non-trainable variables, so it is saved and
resumed with the model; what replicas assign is averaged over them. An image that is
mixed counts as much as the one of its two sources that counts more.
"""

from semivit_tf.methods.selections.fixed_threshold import FixedThreshold
from semivit_tf.methods.selections.self_adaptive_threshold import SelfAdaptiveThreshold

SELECTIONS = {
    "fixed_threshold": FixedThreshold,
    "self_adaptive_threshold": SelfAdaptiveThreshold,
}
