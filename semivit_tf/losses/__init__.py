"""Pure, unreduced functions of tensors: the caller chooses what to average over.

A loss knows no model and no flag. `keras.ops` only.
"""
