"""Backbones by name: each family takes its own arguments and refuses others'."""

import pytest

import semivit_tf
from semivit_tf.backbones import ViT, brings_weights, create_backbone, find_family

SIZES = {"depths": (1, 1), "widths": (4, 6), "stem_patch": 2}


def test_names_lead_to_families():
    assert find_family("vit") == find_family("vit_base_patch16") == "vit"
    assert find_family("convnext") == find_family("convnext_tiny") == "convnext"
    assert find_family("resnet50") == "resnet"
    assert find_family("wide_resnet28_2") == "wide_resnet"
    assert find_family("semiformer_small") == "semiformer"
    assert find_family("keras_applications:VGG16:a:b.h5") == "keras_applications"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_base_patch16", False),
        ("keras_applications:VGG16", False),
        ("keras_applications:VGG16:imagenet", True),
        ("keras_hub:resnet_18_imagenet", True),
        ("keras:a:b.keras", True),
    ],
)
def test_some_networks_come_with_weights(name, expected):
    assert brings_weights(name) is expected


def test_published_names_give_published_sizes():
    backbone = create_backbone("convnext_tiny", image_size=32, depths=(1, 1, 1, 1))
    assert isinstance(backbone, semivit_tf.ConvNeXt)
    assert backbone.widths == (96, 192, 384, 768) and backbone.depths == (1, 1, 1, 1)
    assert create_backbone("vit_small_patch16", depth=1).image_size == (224, 224)


def test_free_sizes_are_all_given():
    backbone = create_backbone("convnext", image_size=8, channels=1, **SIZES)
    assert backbone.get_config()["stem_patch"] == 2
    assert backbone.compute_output_shape((3, 8, 8, 1)) == (3, 6)
    sizes = {"patch_size": 4, "width": 8, "depth": 1, "heads": 2}
    vit = create_backbone("vit", image_size=8, dtype="mixed_bfloat16", **sizes)
    assert isinstance(vit, ViT) and vit.compute_dtype == "bfloat16"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "convnext_tiny",
            {"heads": 4, "position_embedding": "sincos"},
            "The arguments of convnext_tiny should be of: channels, depths, drop_path, "
            "image_size, layer_scale, pixel_mean, pixel_std, stem_patch, widths. "
            "Received: heads=4, position_embedding='sincos'",
        ),
        ("vit", {"image_size": 8, **SIZES}, "Received: depths=(1, 1), stem_patch=2"),
        (
            "resnet50",
            {"heads": 4},
            "The arguments of resnet50 should be of: channels, depths, drop_path, "
            "image_size, pixel_mean, pixel_std, stem_stride, stem_width, synchronized, "
            "widths. Received: heads=4",
        ),
        (
            "semiformer_small",
            {"depth": 3},
            "channels, conv_stream, depths, drop_path, heads, image_size, mlp_ratio, "
            "patch_size, pixel_mean, pixel_std, position_embedding, separate, "
            "stem_stride, stem_width, synchronized, width, widths. Received: depth=3",
        ),
        ("conformer_tiny", {"separate": True}, "Received: separate=True"),
        ("vit_small_patch16", {"dept": 3}, "Received: dept=3"),
        (
            "resnext",
            {},
            "`name` should be one of: vit, vit_base_patch14, vit_base_patch16, "
            "vit_giant_patch14, vit_huge_patch14, vit_huge_patch16, "
            "vit_large_patch14, vit_large_patch16, vit_small_patch14, "
            "vit_small_patch16, vit_tiny_patch16, convnext, "
            "convnext_base, convnext_small, convnext_tiny, resnet, resnet101, "
            "resnet152, resnet50, wide_resnet, wide_resnet28_2, wide_resnet28_8, "
            "conformer, conformer_base, conformer_small, conformer_tiny, semiformer, "
            "semiformer_small, keras_applications:<name>, "
            "keras_hub:<name>, keras:<name>. Received: name='resnext'",
        ),
        ("keras_applications:", {}, "Received: name='keras_applications:'"),
    ],
)
def test_what_is_not_of_the_family_is_refused(name, arguments, message):
    with pytest.raises(ValueError) as error:
        create_backbone(name, **arguments)
    assert message in str(error.value)
