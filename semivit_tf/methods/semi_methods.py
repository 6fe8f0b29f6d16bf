"""The semi-supervised methods by the names that flags know."""

from semivit_tf.methods.fixmatch import FixMatch
from semivit_tf.methods.freematch import FreeMatch
from semivit_tf.methods.semi_vit import SemiViT

SEMI_METHODS = {"semi_vit": SemiViT, "fixmatch": FixMatch, "freematch": FreeMatch}
