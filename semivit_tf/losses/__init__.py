"""Pure, unreduced functions of tensors: the caller chooses what to average over.

Where published code fixes the average, a function takes it: `masked_mean`. A loss knows
no model and no flag. `keras.ops` only.
"""
