"""Decode and augment views by index.

Image files are decoded in the graph, no more of them than the views show. The policies
then run in native code, on as many threads as the pipeline has.
"""

import numpy as np
import tensorflow as tf

from semivit_tf.augment.decoding import OpenImage
from semivit_tf.augment.image_header import MAX_PIXELS
from semivit_tf.augment.randomness import image_key
from semivit_tf.contracts import HasContents
from semivit_tf.data.as_it_is import as_it_is
from semivit_tf.data.unfinished_reads import noting

_PARALLEL = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
# Every view draws from a stream of its own, also where two share a policy.
_STREAMS = {
    **{"labeled": 1, "weak": 2, "strong": 3, "pretrain": 4},
    **{"global1": 5, "global2": 6},
    **{"weak2": 7, "strong2": 8, "labeled_weak": 9},
}
_POLICY_OF = {"weak2": "weak", "strong2": "strong", "labeled_weak": "weak"}
_FIRST_LOCAL_STREAM = 1000


def stream(name):
    """Returns the number of a view's random stream; local views have theirs, too."""
    if name in _STREAMS:
        return _STREAMS[name]
    return _FIRST_LOCAL_STREAM + int(name.removeprefix("local"))


def plan_window(boxes, sizes, most_halvings):
    """Chooses what to decode for several views of one image.

    Args:
        boxes: Sequence of `(top, left, height, width)` in the image.
        sizes: Sequence of `(H, W)` of the views.
        most_halvings: Integer. How often the image's sides may be halved. They are
            halved as long as no box becomes smaller than its view.

    Returns:
        Tuple `(window, halvings)`: the integer box to decode, in the halved image.
    """
    smallest_ratio = min(
        min(box[2] / size[0], box[3] / size[1])
        for box, size in zip(boxes, sizes, strict=True)
    )
    halvings = 0
    while halvings < most_halvings and smallest_ratio >= 2 ** (halvings + 1):
        halvings += 1
    tops, lefts, heights, widths = np.transpose(boxes)
    factor = 2**halvings
    top, left = tops.min() // factor, lefts.min() // factor
    bottom = -(-(tops + heights).max() // factor)
    right = -(-(lefts + widths).max() // factor)
    return (top, left, bottom - top, right - left), halvings


class Views:
    """Makes views of the images of a source, by (seed, epoch, index).

    Args:
        source: `ArraySource` or `EncodedSource`.
        policies: Dict of name to `Policy`, see `create_policies`. `weak2` and
            `strong2` are second views by `weak` and `strong`, and `labeled_weak` is
            the weak view of a labelled image: the same policies, other draws.
        seed: Integer.
        max_pixels: Integer. A larger image is not decoded, but an error.
    """

    def __init__(self, source, policies, seed, max_pixels=MAX_PIXELS):
        self.source = source
        self.policies = policies
        self.seed = seed
        self.max_pixels = max_pixels

    def policy(self, name):
        """Returns the policy that makes a view."""
        return self.policies[_POLICY_OF.get(name, name)]

    def batches(self, order, names):
        """Makes a dataset of `(views, label [B], index [B])`.

        `views` is a dict of name to `[B, H, W, C]`: uint8, or float32 where a policy
        leaves the bytes. `index` (int64) is the image's position in the source.

        Args:
            order: Dataset of `(epoch [B], index [B])`, see `index_batches`.
            names: Sequence of view names.
        """
        size = order.element_spec[0].shape[0]
        # A call from TensorFlow into Python is slow, so each makes several images.
        per_call = next(count for count in (8, 4, 2, 1) if size % count == 0)
        encoded = isinstance(self.source, HasContents)

        @as_it_is
        def make(epoch, index):
            if not encoded:
                return self._of_arrays(epoch, index, names)

            def read(index):
                return self._of_files(epoch, index, names)

            return noting(self.source, index, read, self.max_pixels)

        calls = (
            order.unbatch().batch(per_call, drop_remainder=True).map(make, **_PARALLEL)
        )

        def finish(*results):
            *views, keys, labels, index = (_joined(one, size) for one in results)
            finished = {
                name: self.policy(name).finish(images, keys[:, place])
                for place, (name, images) in enumerate(zip(names, views, strict=True))
            }
            return finished, labels, index

        batches = calls.batch(size // per_call, drop_remainder=True)
        return batches.map(finish, **_PARALLEL).prefetch(2)

    def _keys(self, names, epochs, indices):
        """Returns the key of each image and view: uint64 `[n, len(names)]`."""
        pairs = zip(epochs.tolist(), indices.tolist(), strict=True)
        streams = [stream(name) for name in names]
        keys = [[image_key(self.seed, s, *pair) for s in streams] for pair in pairs]
        return np.array(keys, "uint64")

    def _native(self, make, inputs, names, index):
        """Calls `make` outside of the graph; adds the labels and the index.

        `make` returns the views, then their keys.
        """
        *views, keys = tf.numpy_function(
            make, inputs, [tf.uint8] * len(names) + [tf.uint64], stateful=False
        )
        for name, view in zip(names, views, strict=True):
            size = self.policy(name).framing.size
            view.set_shape((*index.shape, *size, self.source.image_shape[-1]))
        keys.set_shape((*index.shape, len(names)))
        return (*views, keys, tf.gather(self.source.labels, index), index)

    # === Images in memory ===

    def _of_arrays(self, epoch, index, names):
        policies = [self.policy(name) for name in names]

        def make(epochs, indices):
            keys = self._keys(names, epochs, indices)
            images = self.source.images[indices]
            views = []
            for policy, column in zip(policies, keys.T, strict=True):
                shown = [
                    policy.view(image, policy.box(*image.shape[:2], key), key)
                    for image, key in zip(images, column, strict=True)
                ]
                views.append(np.stack(shown))
            return (*views, keys)

        return self._native(make, [epoch, index], names, index)

    # === Images in files: only what the views show is decoded ===

    def _of_files(self, epoch, index, names):
        images = [
            OpenImage(self.source.contents(one), self.max_pixels)
            for one in tf.unstack(index)
        ]
        policies = [self.policy(name) for name in names]
        sizes = [policy.framing.size for policy in policies]

        def plan(all_sizes, most_halvings, epochs, indices):
            windows, halvings, boxes = [], [], []
            all_keys = self._keys(names, epochs, indices)
            for (height, width), most, keys in zip(
                all_sizes.tolist(), most_halvings.tolist(), all_keys, strict=True
            ):
                boxes.append(
                    [
                        policy.box(height, width, key)
                        for policy, key in zip(policies, keys, strict=True)
                    ]
                )
                window, times = plan_window(boxes[-1], sizes, most)
                windows.append(window)
                halvings.append(times)
            return np.int32(windows), np.int32(halvings), np.int32(boxes), all_keys

        size = tf.stack([image.size for image in images])
        most = tf.stack([image.most_halvings for image in images])
        windows, halvings, boxes, keys = tf.numpy_function(
            plan,
            [size, most, epoch, index],
            [tf.int32] * 3 + [tf.uint64],
            stateful=False,
        )
        windows.set_shape((len(images), 4))
        halvings.set_shape((len(images),))
        pixels = [
            image.window(windows[number], halvings[number])
            for number, image in enumerate(images)
        ]

        def make(windows, halvings, boxes, keys, *pixels):
            views = [np.empty((len(pixels), *size, 3), "uint8") for size in sizes]
            for number, image in enumerate(pixels):
                offset = np.array([*windows[number, :2], 0, 0])
                for place, policy in enumerate(policies):
                    box = boxes[number, place] / 2.0 ** halvings[number] - offset
                    key = keys[number, place]
                    views[place][number] = policy.view(image, box, key)
            return (*views, keys)

        inputs = [windows, halvings, boxes, keys, *pixels]
        return self._native(make, inputs, names, index)


def _joined(tensor, size):
    """Reshapes `[B / n, n, ...]` to `[B, ...]`, with B known in the graph."""
    return tf.reshape(tensor, (size, *tensor.shape[2:]))
