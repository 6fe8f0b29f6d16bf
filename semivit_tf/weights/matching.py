"""Matches the arrays of a file with the weights of a network."""

import dataclasses
import math

import numpy as np

from semivit_tf.weights.coverage import few
from semivit_tf.weights.layouts import our_shape, to_ours
from semivit_tf.weights.network import HEAD
from semivit_tf.weights.weights_error import WeightsError

# Prefixes that training code puts before names.
PREFIXES = (
    *("module.", "model.", "_orig_mod.", "backbone.", "vit.", "deit."),
    *("dinov2.", "dinov2_with_registers.", "opt/", "target/", "params/"),
)
HEADS = ("auto", "keep", "drop")
NORM = ("norm/gamma", "norm/beta")
SKIPPED = "skipped, as asked"
# The largest position tables and patch kernels that are resized.
MOST_ROWS = 2**14 + 1


@dataclasses.dataclass
class Match:
    """Which array of a file goes into which weight of one network.

    Attributes:
        sources: Dict from our name to a list of `(place, name in the file, array)`.
        dropped: See `Coverage`; so are the others.
        fresh: Dict.
        missing: List.
        unexpected: List.
    """

    sources: dict = dataclasses.field(default_factory=dict)
    dropped: dict = dataclasses.field(default_factory=dict)
    fresh: dict = dataclasses.field(default_factory=dict)
    missing: list = dataclasses.field(default_factory=list)
    unexpected: list = dataclasses.field(default_factory=list)

    def leave_out(self, name, there, here):
        """Leaves one of our weights unchanged, with reasons for the file and ours."""
        for _, published, _ in self.sources.pop(name, ()):
            self.dropped[published] = there
        self.fresh[name] = here


def unwrap(name):
    """Returns a published name without the prefixes of training code."""
    while prefix := next((p for p in PREFIXES if name.startswith(p)), ""):
        name = name.removeprefix(prefix)
    return name


def match(network, arrays, head="auto", skip=(), normalized=None):
    """Matches the arrays of a file with the weights of a network.

    Args:
        network: `Network`.
        arrays: Dict from a name in the file to its `StoredArray`.
        head: See `load_published`.
        skip: Tuple of prefixes of our names.
        normalized: See `CheckpointFile`.

    Returns:
        A `Match`.
    """
    known = _by_bare_name(arrays)
    if reason := network.naming.reason_to_refuse(known):
        raise WeightsError(reason)
    dialects = network.dialects(list(known))
    dialect = max(dialects, key=lambda names: len(names.keys() & known.keys()))
    if not dialect.keys() & known.keys():
        raise WeightsError(
            f"none of its weights belongs to a {network.kind}, whose names should be "
            f"like {' or '.join(_examples(network))}. Received: {few(known)}"
        )
    result = Match()
    for bare, name in known.items():
        place = dialect.get(bare)
        if place is not None and place.name in network.weights:
            entry = (place, name, arrays[name])
            result.sources.setdefault(place.name, []).append(entry)
        elif reason := network.reason_to_drop(bare):
            result.dropped[name] = reason
        else:
            result.unexpected.append(name)
    for ours in network.weights:
        if ours.startswith(skip):
            result.leave_out(ours, SKIPPED, SKIPPED)
        elif ours not in result.sources:
            reason = network.naming.reason_to_stay(ours, result.dropped)
            if reason:
                result.fresh[ours] = reason
    reason = network.naming.reason_against_norm(normalized)
    for name in NORM:
        if reason and name in result.sources:
            result.leave_out(name, reason, network.naming.lacks_norm())
    if network.has_head:
        _settle_head(result, network, head)
    result.sources = {
        ours: sorted(result.sources[ours], key=lambda source: str(source[0].part))
        for ours in network.weights
        if ours in result.sources
    }
    result.missing = [
        ours
        for ours in network.weights
        if ours not in result.sources and ours not in result.fresh
    ]
    return result


def _examples(network):
    """Returns a name of the first block, or stage, of each dialect."""
    dialects = network.naming.published()
    return dict.fromkeys(next(n for n in names if "0" in n) for names in dialects)


def _by_bare_name(arrays):
    """Returns the names of a file by what they are without wrappers' prefixes."""
    known = {}
    for name in arrays:
        if unwrap(name) in known:
            raise WeightsError(
                "its weights should have different names. "
                f"Received twice: {unwrap(name)[:80]}"
            )
        known[unwrap(name)] = name
    return known


def _settle_head(result, network, head):
    """Decides whether the file's linear head is loaded."""
    against = network.naming.reason_against_head(result.dropped)
    if head == "keep":
        if against:
            raise WeightsError(f"its head cannot be kept: {against}")
        if result.fresh.get(NORM[0], SKIPPED) != SKIPPED:
            raise WeightsError(
                "its head was trained on features that are normalised elsewhere: the "
                "model's `pooling` should be that of the file"
            )
        return
    there = here = None
    found = [result.sources.get(name) for name in HEAD]
    if head == "drop":
        there = here = "the head should not be loaded"
    elif against:
        there = here = against
    elif not all(found):
        there = here = "the file has no whole head"
    elif NORM[0] in result.fresh:
        there = here = "the head was trained on features that are normalised elsewhere"
    else:
        there, here = _compare_heads(network, found)
    if here:
        for name in HEAD:
            result.leave_out(name, there, here)


def _compare_heads(network, found):
    """Returns why the file's head does not fit, for the file's and ours; or Nones."""
    for name, ((place, _, array), *_) in zip(HEAD, found, strict=True):
        shape, wanted = array.shape, tuple(network.weights[name].shape)
        if our_shape(place.layout, shape) != wanted:
            there = (
                f"the head is {our_shape(place.layout, shape)}, the model's {wanted}"
            )
            return there, "the file's head has another shape"
    return None, None


def read(network, name, sources, resizer=None):
    """Reads the array for one of our weights.

    Args:
        network: `Network`.
        name: Our name.
        sources: List of `(place, name in the file, array)`.
        resizer: Optional function of the array, and of the lengths of the published
            axes that its rows are made of, that makes it fit.

    Returns:
        Tuple `(array, shape)`: the shape before resizing, or None if it was not.
    """
    wanted = tuple(network.weights[name].shape)
    published = few([published for _, published, _ in sources])
    parts = {place.part: (place.layout, array) for place, _, array in sources}
    expected = wanted
    if set(parts) == {0, 1, 2}:
        expected = (*wanted[:-1], wanted[-1] // 3)
    elif set(parts) != {None}:
        raise WeightsError(f"{name} should be whole or in three parts: {published}")
    if len(parts) != len(sources):
        raise WeightsError(f"{name} should be in the file once. Received: {published}")
    found = []
    for part in sorted(parts, key=str):
        layout, array = parts[part]
        shape = our_shape(layout, array.shape)
        fits = shape == expected
        if resizer is not None and shape is not None and 0 not in shape:
            rows = math.prod(shape[:-1])
            fits = shape[-1] == wanted[-1] and rows <= max(MOST_ROWS, wanted[0])
        if not fits:
            raise WeightsError(
                f"{published} should fit {name} of shape {expected}. "
                f"Received: {array.shape}"
            )
        try:
            found.append(to_ours(array.read(), layout))
        except WeightsError as error:
            raise WeightsError(f"{published}: {error}") from error
    array = np.concatenate(found, axis=-1)
    if resizer is None:
        return array, None
    (layout, stored) = parts[None]
    resized = resizer(array, tuple(stored.shape[axis] for axis in layout[0]))
    return resized, None if resized is array else array.shape
