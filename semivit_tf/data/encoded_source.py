"""A set of images that stay encoded, as in their files, until they are looked at."""

import numpy as np


class EncodedSource:
    """Random access by index to the contents of image files of any size.

    A subclass says where contents come from.

    Args:
        labels: Integer array `[N]`; -1 where unknown.
        class_names: Sequence of K strings.
        groups: Optional integer array `[N]`. Images of one group (a person, a product)
            must not be used to compare what was learned from the others.
    """

    image_shape = (None, None, 3)

    def __init__(self, labels, class_names, groups=None):
        self.labels = np.asarray(labels, "int32")
        self.class_names = tuple(class_names)
        self.groups = groups

    def __len__(self):
        return len(self.labels)

    def name(self, index):
        """Returns what to call the image when something is wrong with it."""
        raise NotImplementedError

    def names(self):
        """Returns the names of all images."""
        return [self.name(index) for index in range(len(self))]

    def contents(self, index):
        """Returns the encoded image at an index, a scalar int64 tensor, in a graph."""
        raise NotImplementedError
