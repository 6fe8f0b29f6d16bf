"""What rooms expect of networks and methods that they do not know by class.

Each protocol is one thing that an object may have; `isinstance` tells whether it does.
No network of a user needs any of them. This file imports the standard library only, so
tensors, variables and networks are `Any`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

Tensor = Any  # of the Keras backend, or an array

# === Backbones: networks from images [B, H, W, C] to features [B, D] ===


@runtime_checkable
class HasImageShape(Protocol):
    """A backbone that says for which images it is made; others are asked with one."""

    image_shape: tuple[int, int, int]


@runtime_checkable
class HasInputs(Protocol):
    """A functional network of Keras, which knows its input as a symbolic tensor."""

    inputs: Sequence[Any]


@runtime_checkable
class HasPooling(Protocol):
    """A backbone that says how tokens or positions become one feature.

    `"class_token"`: the last norm acts on tokens, the first of which is the feature.
    `"mean"`: it acts on the mean over the other tokens.
    """

    pooling: str


@runtime_checkable
class HasLayerGroups(Protocol):
    """A backbone whose layers may learn at rates of their own."""

    def layer_groups(self) -> Sequence[Sequence[Any]]:
        """Returns its trainable variables in groups, from pixels to features.

        Variables in no group learn as fast as the head.
        """


@runtime_checkable
class HasWeightNames(Protocol):
    """A backbone whose weights have other paths in each instance."""

    def weight_names(self) -> Mapping[int, str]:
        """Returns a name for files, the same in all instances, by the weight's id."""


# === Networks on a backbone ===


@runtime_checkable
class OnBackbone(Protocol):
    """A network that ends in something else than features."""

    backbone: Any


@runtime_checkable
class HasHead(Protocol):
    """A network from the features of its backbone to scores or projections."""

    head: Any


@runtime_checkable
class HasDecoder(Protocol):
    """A network from the tokens of its backbone to pixels."""

    decoder: Any


@runtime_checkable
class SaysNormalized(Protocol):
    """A method that says what the last norm acts on, whatever its backbone's pooling.

    `"tokens"`: on each token. `"mean"`: on their mean.
    """

    normalized: str


def backbone_of(model):
    """Returns the backbone that a network stands on, or the network itself."""
    return model.backbone if isinstance(model, OnBackbone) else model


# === Methods ===


@runtime_checkable
class StudentAndTeacher(Protocol):
    """A method with two networks of one architecture; only the student is trained."""

    student: Any
    teacher: Any


@runtime_checkable
class FollowsStudent(Protocol):
    """A method that moves its teacher towards its student in each update."""

    def follow_student(self, ema_teacher: Any) -> None:
        """Sets the `EMATeacher` that decides on the momentum and on validation."""


@runtime_checkable
class HasFirstUpdates(Protocol):
    """A method in which some variables start to learn later than others."""

    def first_updates(self) -> Mapping[int, int]:
        """Returns how many first updates leave a variable unchanged, by its id."""


def student_of(model):
    """Returns the student of a method, or the network itself."""
    return model.student if isinstance(model, StudentAndTeacher) else model


# === Sources of images ===


@runtime_checkable
class HasContents(Protocol):
    """A source of encoded images, as in files; others have `images` in memory."""

    def contents(self, index: Any) -> Any:
        """Returns the bytes of the image at an index, a scalar tensor, in a graph."""
