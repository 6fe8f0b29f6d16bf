"""Dialects: the names that published files have for our weights.

A dialect is a dict from a published name to the `Place` of its array. Our names are
those of `save_weights`, without the name of the backbone.
"""

import collections
import dataclasses

from semivit_tf.weights.layouts import DENSE, VECTOR, same

# Layers beside a backbone, whose weights do not start with its name.
BESIDE = ("decoder", "head")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a published array goes.

    Attributes:
        name: The name of our weight.
        layout: See `layouts`.
        part: None, or which third of our last axis it fills: 0 for queries, 1 for keys,
            2 for values.
    """

    name: str
    layout: tuple
    part: int | None = None


def dense(published, ours, layout=DENSE, part=None):
    """Returns the entries of a layer with kernel and bias, as PyTorch names them."""
    return {
        f"{published}.weight": Place(f"{ours}/kernel", layout, part),
        f"{published}.bias": Place(f"{ours}/bias", VECTOR, part),
    }


def norm(published, ours):
    """Returns the entries of a layer norm, as PyTorch names them."""
    return {
        f"{published}.weight": Place(f"{ours}/gamma", VECTOR),
        f"{published}.bias": Place(f"{ours}/beta", VECTOR),
    }


def our_own(targets, names):
    """Returns the dialect of `save_weights`, for the names that are in a file.

    In a classifier's file names start with that of the backbone, which may be any.

    Args:
        targets: Dict from our names to weights.
        names: The names in the file.
    """
    wrappers = collections.Counter()
    for name in names:
        first, _, rest = name.partition("/")
        wrappers[""] += name in targets
        wrappers[f"{first}/"] += rest in targets and first not in BESIDE
    wrapper = max(wrappers, key=wrappers.get, default="")
    found = {}
    for name in names:
        if name.partition("/")[0] in BESIDE:
            ours = name
        else:
            ours = name.removeprefix(wrapper) if name.startswith(wrapper) else None
        if ours in targets:
            found[name] = Place(ours, same(len(targets[ours].shape)))
    return found


def without(dialect, prefixes):
    """Returns a dialect without the published names that start with a prefix."""
    return {n: place for n, place in dialect.items() if not n.startswith(prefixes)}
