"""Images that show the same picture, pixel for pixel or after resizing and compression.

Exact duplicates have the same decoded pixels. Near-duplicates are one picture in other
sizes (down to about half), formats or JPEG qualities (60 and better). They are found in
three steps, none of which compares all pairs:

1. A fingerprint of every image: the 8 x 8 slowest waves (DCT) of its grey 16 x 16
   thumbnail, in grey levels, and the tints of a 4 x 4 thumbnail.
2. Candidates: up to 32 nearest neighbours in a k-d tree over the 16 directions in which
   fingerprints without brightness and contrast differ most. Leaving directions out
   never makes a distance longer, so a near pair is missed only where an image has more
   than 32 neighbours that are as near.
3. A pair counts when the difference of its waves, relative to their contrast, is at
   most a fifth of the distance from either image to the closest 1 % of other pictures
   (within 0.04 and 0.15), and tints differ by at most 5 levels. So what is near depends
   on how alike the pictures of a set are: crops of photographs lie about 0.8 apart, the
   garments of Fashion-MNIST about 0.4.

A plain image (a contrast below 1 level) has no near-duplicates, only exact ones. Crops,
mirrored, rotated and grey copies are not looked for.

Measured by experiments/benchmarks/duplicates.py: of 600 pieces (64 to 300 pixels) of
two photographs, resized down to half at most and compressed at a quality from 60, 99 %
were found; of 32 x 32 pieces 55 %, which are plain sky more often than larger ones; of
Fashion-MNIST (28 x 28) 65 %, or 76 % at a size of 0.8 and more. Ten times 2,000 random
images of Fashion-MNIST gave one pair, all 70,000 gave 101: by eye nearly all one
product in the same pose, 27 of them across training and test images. No two of them
have the same pixels. Searching 100,000 made-up images took 2 s on two cores, 1.3
million 190 s and 0.5 GB.
"""

import math

import numpy as np
import tensorflow as tf
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

# What makes a near-duplicate: see above.
NEARER_THAN_OTHERS = 0.2
ALWAYS_NEAR, NEVER_NEAR = 0.04, 0.15
LARGEST_TINT_DIFFERENCE = 5.0
SMALLEST_CONTRAST = 1.0

_GRID, _WAVES, _TINTS = 16, 8, 4
_LUMA = np.array([0.299, 0.587, 0.114], "float32")
_SAMPLE = 2048  # pictures that stand for "the others"
_DIRECTIONS = 16
_CELL_DIRECTIONS = 8
_NEIGHBORS = 32
_CHUNK = 16384

THUMBNAIL_SHAPE = (_GRID, _GRID, 3)
FINGERPRINT_SIZE = _WAVES**2 + 2 * _TINTS**2


def make_thumbnails(images):
    """Returns the means of 16 x 16 parts of images.

    Args:
        images: uint8 array or tensor `[B, H, W, C]`, C 1 or 3.

    Returns:
        float32 array `[B, 16, 16, 3]`.
    """
    grid = tf.image.resize(images, (_GRID, _GRID), "area").numpy()
    return np.broadcast_to(grid, (*grid.shape[:3], 3))


def make_fingerprints(thumbnails):
    """Returns fingerprints, which resizing and compression hardly change.

    Args:
        thumbnails: float32 array `[B, 16, 16, 3]`.

    Returns:
        float16 array `[B, 96]`: 64 waves, the first of which is the mean grey level,
        and how much redder and bluer than grey each of 16 places is.
    """
    waves = dctn(thumbnails @ _LUMA, axes=(1, 2), norm="ortho") / _GRID
    side = _GRID // _TINTS
    places = thumbnails.reshape(-1, _TINTS, side, _TINTS, side, 3).mean(axis=(2, 4))
    tints = (places[..., ::2] - (places @ _LUMA)[..., None]) / 2
    slowest = waves[:, :_WAVES, :_WAVES].reshape(len(waves), -1)
    parts = slowest, tints.reshape(len(waves), -1)
    return np.concatenate(parts, axis=1).astype("float16")


def exact_duplicates(digests, usable=None):
    """Groups the images whose digests are equal.

    Args:
        digests: uint8 array `[N, B]`.
        usable: Optional bool array `[N]`; the others are in no group.

    Returns:
        List of sorted integer arrays, each of two indices or more, by first index.
    """
    digests = np.asarray(digests)
    if digests.ndim != 2 or digests.dtype != np.uint8:
        raise ValueError(
            "`digests` should be a uint8 array [N, B]. "
            f"Received: {digests.dtype} {digests.shape}"
        )
    return _equal_rows(digests, _members(len(digests), usable))


def near_duplicates(fingerprints, exact=(), usable=None, threads=-1):
    """Finds the pairs of images that are versions of one picture.

    Args:
        fingerprints: float16 array `[N, 96]`, see `make_fingerprints`.
        exact: Groups of `exact_duplicates`. The first of a group stands for it.
        usable: Optional bool array `[N]`; the others are in no pair.
        threads: Integer. How many threads search; -1 for one per CPU.

    Returns:
        Tuple `(pairs, distances)`: int64 array `[P, 2]`, sorted, smaller index first,
        and how different the two are, relative to their contrast, float32 array `[P]`.
        Where many images are alike, each is paired with its nearest 32 only.
    """
    fingerprints = np.asarray(fingerprints)
    if fingerprints.ndim != 2 or fingerprints.shape[1] != FINGERPRINT_SIZE:
        raise ValueError(
            f"`fingerprints` should be an array [N, {FINGERPRINT_SIZE}]. "
            f"Received: {fingerprints.dtype} {fingerprints.shape}"
        )
    first = np.ones(len(fingerprints), bool)
    for group in exact:
        first[group[1:]] = False
    members = _members(len(fingerprints), usable)
    members = members[first[members]]
    members = members[_contrast(fingerprints[members]) >= SMALLEST_CONTRAST]

    # Equal fingerprints are paired first: a k-d tree cannot separate equal points.
    equal = _equal_rows(fingerprints, members)
    joined = [np.stack([np.full(len(g) - 1, g[0]), g[1:]], 1) for g in equal]
    members = np.setdiff1d(members, [index for g in equal for index in g[1:]])
    found = [np.zeros((0, 2), np.int64), *joined]
    distances = [np.zeros(sum(map(len, joined)), "float32")]
    if len(members) > 1:
        pairs, distance = _search(fingerprints[members], threads)
        found.append(members[pairs])
        distances.append(distance)
    pairs, distances = np.concatenate(found), np.concatenate(distances)
    order = np.lexsort(pairs.T[::-1])
    return pairs[order], distances[order]


def duplicate_groups(pairs, exact=()):
    """Joins pairs, and the exact duplicates of their images, into groups.

    Args:
        pairs: Integer array `[P, 2]` of `near_duplicates`.
        exact: The groups that were passed to it.

    Returns:
        List of sorted integer arrays, by first index. Two images of a group may be
        linked only through others.
    """
    copies = {int(group[0]): group for group in exact}
    ids, ends = np.unique(pairs, return_inverse=True)
    ends = ends.reshape(-1, 2)
    links = coo_array((np.ones(len(ends)), ends.T), (len(ids), len(ids)))
    groups = {}
    for index, number in zip(ids, connected_components(links)[1], strict=True):
        groups.setdefault(number, []).append(copies.get(int(index), [index]))
    return sorted((np.sort(np.concatenate(g)) for g in groups.values()), key=min)


def _members(count, usable):
    if usable is None:
        return np.arange(count)
    if len(usable) != count:
        raise ValueError(
            f"`usable` should have one entry per image, {count}. "
            f"Received: {len(usable)}"
        )
    return np.flatnonzero(usable)


def _equal_rows(rows, members):
    rows = np.ascontiguousarray(rows[members])
    keys = rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize)))[:, 0]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: len(keys)])
    sizes = np.diff(np.r_[starts, len(keys)])
    many = sizes > 1
    groups = [
        members[order[start : start + size]]
        for start, size in zip(starts[many], sizes[many], strict=True)
    ]
    return sorted(groups, key=lambda group: group[0])


def _waves(fingerprints):
    return fingerprints[:, : _WAVES**2].astype("float32")


def _contrast(fingerprints):
    return np.linalg.norm(_waves(fingerprints)[:, 1:], axis=1)


def _shapes(fingerprints):
    """Returns the waves without brightness and contrast, unit vectors `[M, 63]`."""
    return _waves(fingerprints)[:, 1:] / _contrast(fingerprints)[:, None]


def _chunks(count):
    return (slice(start, start + _CHUNK) for start in range(0, count, _CHUNK))


def _search(fingerprints, threads):
    """Returns `(pairs [P, 2], distances [P])` among distinct images with contrast."""
    count = len(fingerprints)
    sample = _shapes(fingerprints[np.linspace(0, count - 1, _SAMPLE).astype(int)])
    axes = np.linalg.eigh(sample.T @ sample)[1][:, ::-1][:, :_DIRECTIONS]
    others = sample if count > _SAMPLE else _shapes(fingerprints)
    points = np.empty((count, _DIRECTIONS))
    reach = np.empty(count, "float32")
    for part in _chunks(count):
        shapes = _shapes(fingerprints[part])
        points[part] = shapes @ axes
        reach[part] = _reach(shapes, others)

    found = _crowds(points, fingerprints)
    alone = np.setdiff1d(np.arange(count), [i for p, _ in found for i in p[:, 1]])
    tree = KDTree(points[alone])
    neighbors = min(_NEIGHBORS + 1, count)
    by_reach = alone[np.argsort(reach[alone])]
    for part in _chunks(len(alone)):
        ids = by_reach[part]
        _, near = tree.query(
            points[ids],
            neighbors,
            distance_upper_bound=reach[ids[-1]] * 1.001,
            workers=threads,
        )
        one, near = np.repeat(ids, neighbors), near.ravel()
        there = near < len(alone)
        pairs = np.stack([one[there], alone[near[there]]], 1)
        pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
        distance, alike = _compare(fingerprints, pairs)
        kept = alike & (distance <= reach[pairs].min(axis=1))
        found.append((pairs[kept], distance[kept]))
    pairs, distances = map(np.concatenate, zip(*found, strict=True))
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    return pairs, distances[first]


def _crowds(points, fingerprints):
    """Pairs images with the first of their cell, where very many are almost the same.

    A k-d tree cannot separate them: its time would grow with their number squared.

    Returns:
        List of `(pairs [P, 2], distances [P])`; no image is the second of two pairs.
    """
    cells = np.floor(points[:, :_CELL_DIRECTIONS] / NEVER_NEAR).astype("int8")
    found = []
    for cell in _equal_rows(cells, np.arange(len(cells))):
        if len(cell) <= _NEIGHBORS:
            continue
        pairs = np.stack([np.full(len(cell) - 1, cell[0]), cell[1:]], 1)
        distance, alike = _compare(fingerprints, pairs)
        near = alike & (distance <= ALWAYS_NEAR)
        if near.sum() > _NEIGHBORS:
            found.append((pairs[near], distance[near]))
    return found


def _reach(shapes, others):
    """Returns how far from each shape a near-duplicate may be, `[M]`."""
    rank = min(len(others) - 1, max(10, math.ceil(len(others) / 100)))
    reach = np.empty(len(shapes), "float32")
    for start in range(0, len(shapes), 1024):
        part = slice(start, start + 1024)
        likeness = shapes[part] @ others.T
        likeness = np.partition(likeness, -1 - rank, axis=1)[:, -1 - rank]
        reach[part] = np.sqrt(np.maximum(2 - 2 * likeness, 0))
    return np.clip(NEARER_THAN_OTHERS * reach, ALWAYS_NEAR, NEVER_NEAR)


def _compare(fingerprints, pairs):
    """Returns `(distance [P], alike in tint [P])`."""
    distance, alike = np.empty(len(pairs), "float32"), np.empty(len(pairs), bool)
    for part in _chunks(len(pairs)):
        one, other = fingerprints[pairs[part, 0]], fingerprints[pairs[part, 1]]
        difference = np.linalg.norm(_waves(one) - _waves(other), axis=1)
        distance[part] = difference / np.sqrt(_contrast(one) * _contrast(other))
        tints = (one - other)[:, _WAVES**2 :].astype("float32")
        alike[part] = np.sqrt(np.mean(tints**2, axis=1)) <= LARGEST_TINT_DIFFERENCE
    return distance, alike
