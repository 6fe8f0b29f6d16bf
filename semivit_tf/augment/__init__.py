"""What is done to images: policies for tf.data, and mixing inside the training step.

`mixing.py` is portable (`keras.ops`). The other files are TensorFlow code for input
pipelines: they work on whole batches, and each image's draws depend on its key alone.
Start with `policies.py`.
"""

from semivit_tf.augment import mixing, policies

__all__ = ["mixing", "policies"]
