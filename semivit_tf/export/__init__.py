"""How does a model get into TF Serving? As a SavedModel that needs TensorFlow alone.

`signatures.py` says what a client may ask, `warmup.py` which requests the server sends
itself before it takes others, `saved_model.py` writes the folder.
"""

from semivit_tf.export.saved_model import export_saved_model

__all__ = ["export_saved_model"]
