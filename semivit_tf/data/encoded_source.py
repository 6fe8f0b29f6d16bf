"""Images that stay encoded, as in their files, until they are used."""

import numpy as np


class EncodedSource:
    """Random access by index to the contents of image files of any size.

    A subclass says where the contents come from.

    Args:
        labels: Integer array `[N]`; -1 where unknown.
        class_names: Sequence of K strings.
        groups: Optional integer array `[N]`. Images of one group (a person, a product)
            are kept together: all for training, or all for validation.
    """

    image_shape = (None, None, 3)

    def __init__(self, labels, class_names, groups=None):
        self.labels = np.asarray(labels, "int32")
        self.class_names = tuple(class_names)
        self.groups = groups

    def __len__(self):
        return len(self.labels)

    def name(self, index):
        """Returns the image's name for error messages."""
        raise NotImplementedError

    def names(self):
        """Returns the names of all images."""
        return [self.name(index) for index in range(len(self))]

    def contents(self, index):
        """Returns the encoded image at an index, a scalar int64 tensor, in a graph."""
        raise NotImplementedError
