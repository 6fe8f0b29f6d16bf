"""How images are made from noise: networks, noise schedules, solvers and guidance.

Pure functions and networks on `keras.ops`: nothing here knows how a network learned.
Start with `schedules.py`, whose letters the other files use; `u_vit.py` is the network
and `solvers.py` runs a solver.
"""

from semivit_tf.diffusion.guidance import guided
from semivit_tf.diffusion.latents import Latents
from semivit_tf.diffusion.sampling import sample
from semivit_tf.diffusion.schedules import DiscreteSchedule, LinearSchedule
from semivit_tf.diffusion.solvers import SOLVERS, solve
from semivit_tf.diffusion.u_vit import U_VIT_SIZES, UViT, create_u_vit

__all__ = [
    "DiscreteSchedule",
    "Latents",
    "LinearSchedule",
    "SOLVERS",
    "UViT",
    "U_VIT_SIZES",
    "create_u_vit",
    "guided",
    "sample",
    "solve",
]
