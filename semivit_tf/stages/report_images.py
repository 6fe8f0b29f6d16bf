"""The images in a report: examples, mistakes, neighbours, and what is looked at."""

import itertools

import numpy as np
import tensorflow as tf

from semivit_tf.backbones.attention import attention_maps, has_attention
from semivit_tf.evaluation.features import extract_features
from semivit_tf.export.features import features_of
from semivit_tf.report.pictures import overlaid, picture
from semivit_tf.stages.held_out import held_out_index

_MISTAKES = 12
_NEIGHBORS = 3
_SEARCHED = 5_000  # labelled images, at most, among which neighbours are looked for
_CLASSES = 24  # in the sheet of examples
_ATTENTION = 6


def spread(indices, most):
    """Returns at most `most` of the indices, evenly spaced."""
    if len(indices) <= most:
        return indices
    return indices[np.linspace(0, len(indices) - 1, most).astype(int)]


class Shown:
    """The images of a run as networks see them.

    Args:
        run: `Run`.
        part: `"test"` or `"validation"`: what was evaluated, or None.
    """

    def __init__(self, run, part):
        self.run, self.part = run, part

    def training(self, indices):
        """Returns training images by index, a dict."""
        batches = self.run.data.as_evaluated(np.asarray(indices, np.int64))
        return self._by_index(indices, batches)

    def held_out(self, indices):
        """Returns held-out images by index, a dict."""
        data, indices = self.run.data, np.asarray(indices, np.int64)
        if self.part == "validation":
            return self.training(indices)
        return self._by_index(indices, data.of_test(indices))

    @staticmethod
    def _by_index(indices, batches):
        images = itertools.chain.from_iterable(np.asarray(one) for one, _ in batches)
        return dict(zip(map(int, indices), images, strict=True))

    def name_of_file(self, index):
        """Returns the name of a held-out image."""
        parts = self.run.data.parts
        source = parts.test if self.part == "test" else parts.train
        return str(source.names()[index])


def contact_sheet(run, most):
    """Returns labelled images of each class: a list of dicts of `name` and `images`.

    Args:
        run: `Run`.
        most: Integer. About how many images.
    """
    train, labeled = run.data.parts.train, run.data.split.labeled
    names = run.data.class_names
    classes = spread(np.arange(len(names)), min(_CLASSES, most)).tolist()
    each = max(1, most // max(1, len(classes)))
    chosen = {
        number: spread(labeled[train.labels[labeled] == number], min(each, 8))
        for number in classes
    }
    wanted = np.concatenate([*chosen.values(), np.zeros(0, np.int64)])
    images = Shown(run, None).training(wanted) if len(wanted) else {}
    return [
        {
            "name": names[number],
            "images": [
                picture(images[int(index)], f"labelled image of {names[number]}")
                for index in indices
            ],
        }
        for number, indices in chosen.items()
        if len(indices)
    ]


def worst_mistakes(run, predicted, name, part, most=_MISTAKES):
    """Returns the mistakes of which a network was surest, without images.

    Args:
        run: `Run`.
        predicted: `Predictions`.
        name: The network's, in these.
        part: String. Which images they are of.
        most: Integer.
    """
    classes, confidences = predicted.classes[name], predicted.confidences[name]
    wrong = np.flatnonzero(classes != predicted.labels)
    order = wrong[np.argsort(-confidences[wrong], kind="stable")[:most]]
    names, shown = run.data.class_names, Shown(run, part)
    return [
        {
            "index": int(predicted.index[place]),
            "truth": names[predicted.labels[place]],
            "answer": names[classes[place]],
            "confidence": float(confidences[place]),
            "file": shown.name_of_file(int(predicted.index[place])),
            "image": None,
            "neighbors": [],
        }
        for place in order
    ]


def with_images(run, mistakes, part, network):
    """Returns mistakes with their images and those of the nearest labelled ones."""
    if not mistakes:
        return []
    shown = Shown(run, part)
    images = shown.held_out([one["index"] for one in mistakes])
    labeled = spread(run.data.split.labeled, _SEARCHED)
    queries = np.stack([images[one["index"]] for one in mistakes])
    nearest = nearest_labeled(run, network, labeled, queries)
    neighbors = shown.training(np.unique(nearest)) if nearest.size else {}
    names, labels = run.data.class_names, run.data.parts.train.labels
    found = []
    for one, near in zip(mistakes, nearest, strict=True):
        alike = [
            {
                **picture(neighbors[int(index)], f"alike: {names[labels[index]]}"),
                "name": names[labels[index]],
            }
            for index in near
        ]
        alt = f"{one['truth']}, taken for {one['answer']}"
        image = picture(images[one["index"]], alt)
        found.append({**one, "image": image, "neighbors": alike})
    return found


def nearest_labeled(run, network, labeled, queries):
    """Returns the labelled images with the most similar features: `[M, up to 3]`."""
    if not len(labeled):
        return np.zeros((len(queries), 0), np.int64)
    encode = tf.function(lambda images: features_of(network, images))
    known, _ = extract_features(encode, run.data.as_evaluated(labeled))
    asked = np.asarray(encode(tf.constant(queries)))
    known, asked = (
        one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-12)
        for one in (known, asked)
    )
    order = np.argsort(-(asked @ known.T), axis=1, kind="stable")
    return labeled[order[:, :_NEIGHBORS]]


def attention(run, part, network):
    """Returns held-out images, and what the network looks at in them.

    Returns:
        List of dicts of `name`, `image` and `map`; empty where nothing is known of it.
    """
    backbone = network.backbone
    if part is None or not has_attention(backbone):
        return []
    index = spread(held_out_index(run, part), _ATTENTION)
    images = Shown(run, part).held_out(index)
    stacked = np.stack([images[int(place)] for place in index])
    maps = np.asarray(attention_maps(backbone, tf.constant(stacked)))
    data = run.data
    labels = (data.parts.test if part == "test" else data.parts.train).labels
    names = [data.class_names[labels[place]] for place in index]
    return [
        {
            "name": name,
            "image": picture(image, name),
            "map": picture(overlaid(image, looked), f"{name}, where it is looked at"),
        }
        for name, image, looked in zip(names, stacked, maps, strict=True)
    ]
