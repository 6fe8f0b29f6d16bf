"""What a run needs besides data and method: from optimizers to checkpoints.

Nothing here knows a method. Start with `optimizers.py` and `schedules.py`; `loop.py`
puts the callbacks of a stage together.
"""

from semivit_tf.training import optimizers, schedules

__all__ = ["optimizers", "schedules"]
