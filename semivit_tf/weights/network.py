"""The networks of a model that can get published weights, and their names."""

import dataclasses

import keras

from semivit_tf.backbones.convnext import ConvNeXt
from semivit_tf.backbones.vit import ViT
from semivit_tf.contracts import HasDecoder, HasHead, StudentAndTeacher, backbone_of
from semivit_tf.weights.convnext_naming import ConvNeXtNaming
from semivit_tf.weights.dialect import our_own
from semivit_tf.weights.vit_naming import ViTNaming
from semivit_tf.weights.weights_error import WeightsError

HEAD = ("head/kernel", "head/bias")


@dataclasses.dataclass(frozen=True)
class Network:
    """A backbone with its head or decoder.

    Attributes:
        kind: The backbone's class in words.
        weights: Dict from our name of a weight to its Keras variable.
        naming: `ViTNaming` or `ConvNeXtNaming`.
    """

    kind: str
    weights: dict
    naming: object

    @property
    def has_head(self):
        """Whether there is a linear head."""
        return HEAD[0] in self.weights

    def dialects(self, names):
        """Returns the dialects that a file with these names may be in."""
        return [*self.naming.published(names), our_own(self.weights, names)]

    def reason_to_drop(self, name):
        """Returns why a weight of a file is left out, or None if it is not."""
        projections = "head.mlp.", "head.last_layer.", "dino_head.", "ibot_head."
        if name.startswith(projections):
            return "it belongs to the projection head of pre-training"
        if name.startswith("linear_head."):
            return "the head takes more than one token's features"
        heads = ("head.weight", "head.bias", "head.fc.", "head/", "classifier.")
        if name.startswith(heads) and not self.has_head:
            return "the model has no linear head"
        return self.naming.reason_to_drop(name)


def find_targets(model):
    """Returns the networks of a model by name: `student` and `teacher`, or one `""`."""
    if isinstance(model, StudentAndTeacher):
        found = {"student": model.student, "teacher": model.teacher}
    else:
        found = {"": model}
    return {name: describe(network) for name, network in found.items()}


def describe(model):
    """Returns the `Network` of a backbone, or of a model that has one.

    A model's attributes tell what is on the backbone: a dense `head`, a `decoder`.
    """
    backbone = backbone_of(model)
    decoder = model.decoder if isinstance(model, HasDecoder) else None
    if isinstance(backbone, ViT):
        naming = ViTNaming(backbone, decoder)
    elif isinstance(backbone, ConvNeXt):
        naming = ConvNeXtNaming(backbone)
    else:
        raise WeightsError(
            "`model` should be a ViT or a ConvNeXt, or have one as its backbone. "
            f"Received: {type(backbone).__name__}"
        )
    weights = _inside(backbone)
    if decoder is not None:
        found = _inside(decoder).items()
        weights |= {f"decoder/{name}": weight for name, weight in found}
    if isinstance(model, HasHead) and isinstance(model.head, keras.layers.Dense):
        head = model.head.kernel, model.head.bias
        weights |= dict(zip(HEAD, head, strict=True))
    return Network(type(backbone).__name__, weights, naming)


def _inside(layer):
    """Returns the weights of a layer by their paths inside it."""
    paths = {}
    for weight in layer.weights:
        parts = weight.path.split("/")
        paths["/".join(parts[parts.index(layer.name) + 1 :])] = weight
    return paths
