"""What a run needs besides data and method: optimizers, schedules, progress, checkpoints.

Nothing here knows a method. Start with `optimizers.py` and `schedules.py`; `loop.py`
puts the callbacks of a stage together.
"""
