"""Predictions for classes that are equally likely, after unequal labelled images.

A classifier's scores hold the logarithm of how often it saw each class. Taken out of
the bias of its head, it is out of what is evaluated and served.

Reference:
    Menon et al., Long-tail Learning via Logit Adjustment, 2021.
"""

import numpy as np


def log_shares(counts):
    """Returns the logarithm of each class's share `[K]`; no class has less than one."""
    counts = np.maximum(counts, 1)
    return np.log(counts / counts.sum()).astype("float32")


def adjust_logits(run, classifier):
    """Lowers a head's bias by `--logit_adjustment` times each class's log share."""
    strength = run.config.run.logit_adjustment
    if strength:
        bias = classifier.head.bias
        bias.assign(bias - strength * log_shares(run.labeled_counts()))
