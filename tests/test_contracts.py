"""What networks and methods say of themselves, beyond being Keras models."""

import keras
import pytest

from semivit_tf import contracts
from semivit_tf.backbones.adapted_network import AdaptedNetwork
from semivit_tf.contracts import backbone_of, student_of
from semivit_tf.methods.averaged_classifier import AveragedClassifier
from semivit_tf.methods.classifier import Classifier, find_image_shape
from semivit_tf.methods.dino import DINO
from semivit_tf.methods.mae import MAE
from semivit_tf.training.optimizers import find_layer_groups, layer_wise_adamw
from semivit_tf.training.weight_files import find_normalized
from tests.methods.small import small_convnext, small_vit

PROTOCOLS = {
    name: value
    for name, value in vars(contracts).items()
    if isinstance(value, type) and getattr(value, "_is_protocol", False)
    if value.__module__ == contracts.__name__
}


def functional():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, keras.layers.Flatten()(inputs))


def mae():
    return MAE(small_vit(), decoder_width=8, decoder_depth=1, decoder_heads=2)


def dino():
    return DINO(small_vit(), outputs=8, hidden_width=8, bottleneck_width=4)


def adapted():
    return AdaptedNetwork(functional(), keras.layers.Rescaling(1 / 255), 8, channels=1)


# What each of them has, without "Has".
ROWS = {
    functional: "Inputs",
    small_vit: "ImageShape Pooling LayerGroups",
    small_convnext: "ImageShape LayerGroups",
    adapted: "ImageShape Pooling WeightNames",
    lambda: Classifier(small_vit(), 3): "ImageShape OnBackbone Head FirstUpdates",
    lambda: AveragedClassifier(small_vit(), 3): (
        "ImageShape StudentAndTeacher FollowsStudent FirstUpdates"
    ),
    mae: "OnBackbone Decoder SaysNormalized FirstUpdates",
    dino: "ImageShape StudentAndTeacher FollowsStudent FirstUpdates",
}


@pytest.mark.parametrize(("build", "expected"), ROWS.items())
def test_a_network_has_what_is_listed_and_no_more(build, expected):
    network = build()
    found = {n for n, protocol in PROTOCOLS.items() if isinstance(network, protocol)}
    assert {name.removeprefix("Has") for name in found} == set(expected.split())


def test_the_rows_need_every_protocol_of_networks():
    needed = {name for row in ROWS.values() for name in row.split()}
    names = {name.removeprefix("Has") for name in PROTOCOLS}
    assert names - needed == {"Contents"}


def test_the_student_and_its_backbone_are_found():
    method = AveragedClassifier(small_vit(), 3)
    assert student_of(method) is method.student
    assert student_of(method.student) is method.student
    assert backbone_of(method.student) is method.student.backbone
    assert backbone_of(method.student.backbone) is method.student.backbone


def test_a_backbone_of_a_user_may_have_layer_groups():
    class Mine(keras.Sequential):
        def layer_groups(self):
            return [layer.trainable_variables for layer in self.layers[1:]]

    layers = [keras.layers.Flatten(), keras.layers.Dense(4), keras.layers.Dense(2)]
    model = Classifier(Mine([keras.Input((8, 8, 1)), *layers]), 3)
    assert [len(group) for group in find_layer_groups(model)] == [2, 2]
    scales = layer_wise_adamw(model, 1e-3, layer_decay=0.5).scales
    assert scales == [0.25, 0.25, 0.5, 0.5, 1.0, 1.0]


def test_what_the_last_norm_acts_on_is_said_by_method_or_backbone():
    vit = small_vit(pooling="mean")
    assert find_normalized(vit) == find_normalized(Classifier(vit, 3)) == "mean"
    assert find_normalized(small_vit(pooling="class_token")) == "tokens"
    assert find_normalized(mae()) == "tokens"
    assert find_normalized(functional()) is None


def test_an_image_shape_is_said_by_the_backbone_or_has_to_be_given():
    assert find_image_shape(small_vit()) == find_image_shape(functional()) == (8, 8, 1)
    unbuilt = keras.Sequential([keras.layers.Flatten()])
    with pytest.raises(ValueError, match="`image_shape` should be given"):
        find_image_shape(unbuilt)
    assert find_image_shape(unbuilt, (4, 4, 1)) == (4, 4, 1)
