"""What is done to images: policies for input pipelines, and mixing inside the step.

`mixing.py` is portable (`keras.ops`) and works on batches. `central_view.py` is part of
the served model and works in a graph. The other files work on one image, a NumPy array,
with draws that depend on its key alone. Start with `policies.py`.
"""
