"""The semi-supervised methods by the names that flags know."""

from semivit_tf.methods.fixmatch import FixMatch
from semivit_tf.methods.flexmatch import FlexMatch
from semivit_tf.methods.freematch import FreeMatch
from semivit_tf.methods.mean_teacher import MeanTeacher
from semivit_tf.methods.pi_model import PiModel
from semivit_tf.methods.pseudo_label import PseudoLabel
from semivit_tf.methods.semi_mae import SemiMAE
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.methods.semiformer import Semiformer
from semivit_tf.methods.softmatch import SoftMatch
from semivit_tf.methods.supervised import Supervised
from semivit_tf.methods.uda import UDA

SEMI_METHODS = {
    "semi_vit": SemiViT,
    "ema_teacher": SemiViT,  # without mixing
    "fixmatch": FixMatch,
    "flexmatch": FlexMatch,
    "freematch": FreeMatch,
    "softmatch": SoftMatch,
    "uda": UDA,
    "mean_teacher": MeanTeacher,
    "pi_model": PiModel,
    "pseudo_label": PseudoLabel,
    "supervised": Supervised,
    "semi_mae": SemiMAE,
    "semiformer": Semiformer,
}
