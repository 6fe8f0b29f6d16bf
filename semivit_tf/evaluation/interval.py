"""How sure a share is that was counted on few images."""

import numpy as np
from scipy.stats import binomtest

FEW = 30  # images that tell little


def share_interval(share, images):
    """Returns the 95 % interval by Wilson of a share of right answers, a pair.

    Args:
        share: Float. Right answers over all.
        images: Integer.
    """
    right = int(np.rint(share * images))
    found = binomtest(right, images).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def in_percent(share, images):
    """Returns a share as text; on few images, with its interval.

    Args:
        share: Float.
        images: Integer. How many it was counted on.
    """
    text = f"{100 * share:.2f} %"
    if images >= FEW:
        return text
    low, high = share_interval(share, images)
    return f"{text} ({100 * low:.0f} to {100 * high:.0f})"
