"""Weights of other projects, in and out: safe readers, and rules for their names.

`load_published` reads a file of any known kind into a model, `save_timm` writes one
that timm reads. A file goes through three steps: `checkpoint_file` finds named arrays
in it, `matching` finds which weights they are (by the names in `vit_names` and in
`convnext_naming`), and `resizing` adapts those of other grids and patch sizes.
"""

from semivit_tf.weights.coverage import Coverage
from semivit_tf.weights.published import load_published
from semivit_tf.weights.timm_file import save_timm
from semivit_tf.weights.weights_error import WeightsError

__all__ = ["Coverage", "WeightsError", "load_published", "save_timm"]
