"""What is shown of the unlabelled images? They alone, or mixed with one another.

A mixing is a function of strong views, their targets, confidences and weights, which
returns the images, targets and weights that the student learns from. It has no state;
the method gives it a seed.
"""

from semivit_tf.methods.mixings.no_mixing import NoMixing
from semivit_tf.methods.mixings.probabilistic_mixing import ProbabilisticMixing
from semivit_tf.methods.mixings.pseudo_mixup import PseudoMixup, PseudoMixupPlus

MIXINGS = {
    "none": NoMixing,
    "pseudo_mixup": PseudoMixup,
    "pseudo_mixup_plus": PseudoMixupPlus,
    "probabilistic": ProbabilisticMixing,
}
