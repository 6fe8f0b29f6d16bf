"""How does a model get into TF Serving? As a SavedModel that needs TensorFlow alone.

`signatures.py` says what a client may ask, `calibration.py` what is made of logits,
`drift_reference.py` what new images are compared with, `warmup.py` which requests the
server sends itself before it takes others. `saved_model.py` writes the folder, and
`exported_model.py` reads one again.
"""

from semivit_tf.export.calibration import Calibration
from semivit_tf.export.drift_reference import DriftReference
from semivit_tf.export.saved_model import export_saved_model

__all__ = ["Calibration", "DriftReference", "export_saved_model"]
