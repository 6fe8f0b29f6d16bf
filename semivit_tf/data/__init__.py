"""Where images come from, who is labelled, and in which order batches are made.

A source is random access by index; `loaders.py` finds it by name. `label_splits.py`
says what an index is used for, `order.py` in which order indices come, `pipelines.py`
makes the batches; `dataset.py` joins them to what `load_dataset` returns.
"""
