"""How backbones learn. A method is the difference from one shared training step.

`train_step.py` has the step that all share; `semi_supervised.py` adds the unlabelled
part and the teacher; each method overrides one idea. A method knows no files, no flags
and no data set. Only `train_step` and `test_step` may use TensorFlow itself.
"""
