"""One table of every public layer, backbone and method; many tests run over it.

A row is a name, a constructor and a batch. `test_conformance.py` fails when a class of
the package that belongs here is missing.
"""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from semivit_tf.backbones.adapted_network import AdaptedNetwork
from semivit_tf.backbones.keras_applications import ApplicationScaling
from semivit_tf.diffusion import DiscreteSchedule, LinearSchedule
from semivit_tf.layers.batch_norm import BatchNorm
from semivit_tf.layers.bottleneck import Bottleneck
from semivit_tf.layers.centered_conv2d import CenteredConv2D
from semivit_tf.layers.conv_mixer_block import ConvMixerBlock
from semivit_tf.layers.conv_stem import ConvStem
from semivit_tf.layers.convnext_block import ConvNeXtBlock
from semivit_tf.layers.drop_path import DropPath
from semivit_tf.layers.feed_forward import FeedForward
from semivit_tf.layers.fused_block import (
    FusedBlock,
    MiddleFusedBlock,
    MixerFusedBlock,
)
from semivit_tf.layers.gated_feed_forward import GatedFeedForward
from semivit_tf.layers.layer_norm import LayerNorm
from semivit_tf.layers.mae_decoder import MAEDecoder
from semivit_tf.layers.map_to_tokens import MapToTokens
from semivit_tf.layers.normalized_conv2d import NormalizedConv2D
from semivit_tf.layers.patch_embedding import PatchEmbedding
from semivit_tf.layers.patch_stem import PatchStem
from semivit_tf.layers.pixel_normalization import PixelNormalization
from semivit_tf.layers.position_embedding import PositionEmbedding
from semivit_tf.layers.pre_activation_block import PreActivationBlock
from semivit_tf.layers.projection_head import ProjectionHead
from semivit_tf.layers.self_attention import SelfAttention
from semivit_tf.layers.stream_heads import StreamHeads
from semivit_tf.layers.tokens_to_map import TokensToMap
from semivit_tf.layers.transformer_block import TransformerBlock
from semivit_tf.layers.weight_normalized_dense import WeightNormalizedDense
from semivit_tf.methods.averaged_classifier import AveragedClassifier
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.denoiser import Denoiser
from semivit_tf.methods.dino import DINO
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.fixmatch import FixMatch
from semivit_tf.methods.flexmatch import FlexMatch
from semivit_tf.methods.freematch import FreeMatch
from semivit_tf.methods.mae import MAE
from semivit_tf.methods.masked_autoencoder import MaskedAutoencoder
from semivit_tf.methods.mean_teacher import MeanTeacher
from semivit_tf.methods.mixings.no_mixing import NoMixing
from semivit_tf.methods.mixings.probabilistic_mixing import ProbabilisticMixing
from semivit_tf.methods.mixings.pseudo_mixup import PseudoMixup, PseudoMixupPlus
from semivit_tf.methods.pi_model import PiModel
from semivit_tf.methods.projected_backbone import ProjectedBackbone
from semivit_tf.methods.pseudo_label import PseudoLabel
from semivit_tf.methods.selections.curriculum_threshold import CurriculumThreshold
from semivit_tf.methods.selections.fixed_threshold import FixedThreshold
from semivit_tf.methods.selections.self_adaptive_threshold import (
    SelfAdaptiveThreshold,
)
from semivit_tf.methods.selections.soft_weights import SoftWeights
from semivit_tf.methods.semi_mae import SemiMAE
from semivit_tf.methods.semi_supervised import SemiSupervised
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.methods.semiformer import Semiformer
from semivit_tf.methods.softmatch import SoftMatch
from semivit_tf.methods.supervised import Supervised
from semivit_tf.methods.two_stream_classifier import TwoStreamClassifier
from semivit_tf.methods.uda import UDA
from tests.diffusion.small import noised_batch, small_u_vit
from tests.methods.small import (
    crop_batch,
    semi_batch,
    small_conformer,
    small_convnext,
    small_network,
    small_resnet,
    small_semiformer,
    small_vit,
    small_wide_resnet,
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A class, how to build it, and what to call it with.

    With batch statistics, micro-batches do not make the update of the whole batch.
    """

    build: Callable
    inputs: tuple
    batch: object = None
    batch_statistics: bool = False

    @functools.cached_property
    def name(self):
        return type(self.build()).__name__


def name(row):
    """Returns the name of a row, for the names of tests."""
    return row.name


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def fit(model, row, steps=1):
    """Takes steps with the batch of the row; returns the logs.

    The teacher moves far enough to show if it moved twice.
    """
    data = tf.data.Dataset.from_tensors(row.batch).repeat(steps)
    callbacks = [EMATeacher(0.9)] if hasattr(model, "teacher") else []
    return model.fit(data, verbose=0, shuffle=False, callbacks=callbacks).history


def arrays(variables):
    return [variable.numpy() for variable in variables]


def assert_learned(logs, before, after):
    assert logs and all(np.isfinite(values).all() for values in logs.values())
    pairs = zip(before, after, strict=True)
    assert max(np.abs(one - other).max() for one, other in pairs) > 1e-4


IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 1)).astype("float32")
PROBABILITIES = np.random.default_rng(2).dirichlet([1, 1, 1], 9).astype("float32")
RESTORE = np.argsort(np.random.default_rng(1).random((4, 4)), axis=1).astype("int32")

MAP_AND_TOKENS = noise(4, 8, 8, 8), noise(4, 5, 12)


def adapted_network():
    images = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(6, 3, activation="gelu")(images)
    features = keras.layers.BatchNormalization()(features)
    features = keras.layers.DepthwiseConv2D(3)(features)
    features = keras.layers.SeparableConv2D(5, 2)(features)
    network = keras.Model(images, features)
    scaling = keras.layers.Rescaling(1 / 127.5, -1.0)
    return AdaptedNetwork(network, scaling, 8, channels=1)


HEAD = {"hidden_width": 8, "bottleneck_width": 6}
DINOV2 = {"layer_scale": 0.1, "registers": 2, "feed_forward": "swiglu"}
DECODER = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}

LAYERS = [
    Row(lambda: ApplicationScaling("ResNet50"), (np.repeat(IMAGES, 3, axis=-1),)),
    Row(BatchNorm, (noise(4, 5, 3, 8),)),
    Row(lambda: Bottleneck(12, 2, True), (noise(4, 5, 3, 8),)),
    Row(lambda: CenteredConv2D(6, 3, 2), (noise(4, 6, 4, 8),)),
    Row(lambda: ConvMixerBlock(3), (noise(4, 5, 3, 8),)),
    Row(lambda: ConvStem(6), (IMAGES,)),
    Row(lambda: ConvNeXtBlock(drop_path=0.1), (noise(4, 5, 3, 8),)),
    Row(lambda: DropPath(0.3), (noise(4, 3, 8),)),
    Row(lambda: FeedForward(16), (noise(4, 3, 8),)),
    Row(lambda: FusedBlock(16, 2, 2, stride=2, drop_path=0.1), MAP_AND_TOKENS),
    Row(lambda: MiddleFusedBlock(16, 2, 2, stride=2), MAP_AND_TOKENS),
    Row(lambda: MixerFusedBlock(8, 4, 2), MAP_AND_TOKENS),
    Row(lambda: GatedFeedForward(8), (noise(4, 3, 8),)),
    Row(LayerNorm, (noise(4, 3, 8),)),
    Row(lambda: MapToTokens(6, 2), (noise(4, 6, 4, 8),)),
    Row(lambda: NormalizedConv2D(6, 3, 2), (noise(4, 6, 4, 8),)),
    Row(lambda: PatchEmbedding(4, 6), (IMAGES,)),
    Row(lambda: PatchStem(6, 4), (IMAGES,)),
    Row(lambda: PixelNormalization((0.4,), (0.2,)), (IMAGES,)),
    Row(lambda: PositionEmbedding((1, 3)), (noise(4, 3, 8),)),
    Row(lambda: PreActivationBlock(6, 2), (noise(4, 6, 4, 8),)),
    Row(lambda: ProjectionHead(12, **HEAD), (noise(4, 8),)),
    Row(lambda: SelfAttention(2), (noise(4, 3, 8),)),
    Row(lambda: StreamHeads(3, ("a", "b")), ((noise(4, 8), noise(4, 6)),)),
    Row(lambda: TokensToMap(6, 2), (noise(4, 9, 8),)),
    Row(lambda: TransformerBlock(2, drop_path=0.1), (noise(4, 3, 8),)),
    Row(lambda: WeightNormalizedDense(5), (noise(4, 8),)),
    Row(lambda: MAEDecoder((2, 2), 16, 8, 1, 2), (noise(4, 3, 8), RESTORE)),
    Row(
        lambda: MaskedAutoencoder(
            small_vit(), mask_ratio=0.5, own_norm=True, **DECODER
        ),
        (IMAGES, RESTORE, np.argsort(RESTORE, axis=1)),
    ),
]
# These stay in float32 and are called once for each batch.
SELECTIONS = [
    Row(lambda: CurriculumThreshold(0.5, images=9), (PROBABILITIES, np.arange(9))),
    Row(lambda: FixedThreshold(0.5), (PROBABILITIES,)),
    Row(lambda: SelfAdaptiveThreshold(0.9), (PROBABILITIES,)),
    Row(lambda: SoftWeights(0.9), (PROBABILITIES,)),
]
MIXINGS = [NoMixing(), PseudoMixup(), PseudoMixupPlus(), ProbabilisticMixing(0.3)]
BACKBONES = [
    Row(adapted_network, (IMAGES,)),
    Row(small_conformer, (IMAGES,)),
    Row(lambda: small_convnext(drop_path=0.1), (IMAGES,)),
    Row(lambda: small_resnet(drop_path=0.1), (IMAGES,)),
    Row(lambda: small_semiformer(position_embedding="learned"), (IMAGES,)),
    Row(lambda: small_vit(drop_path=0.1), (IMAGES,)),
    Row(small_wide_resnet, (IMAGES,)),
    Row(lambda: small_vit(**DINOV2), (IMAGES,)),
    Row(lambda: ProjectedBackbone(small_vit(), ProjectionHead(9, **HEAD)), (IMAGES,)),
]
SCHEDULES = [DiscreteSchedule(), LinearSchedule()]
DIFFUSION = [Row(small_u_vit, noised_batch())]
# What methods have of their own does not depend on the network.
METHODS = [
    Row(
        lambda: Denoiser(small_u_vit(), 3, "v"),
        # Times as training and solvers count them.
        (noised_batch()[0], noised_batch()[1] / 1000, noised_batch()[2]),
        (IMAGES, np.arange(4) % 3),
    ),
    Row(
        lambda: AveragedClassifier(small_vit(), 3),
        (IMAGES,),
        (IMAGES, np.arange(4) % 3),
    ),
    Row(
        lambda: Classifier(small_vit(), 3, mixup_alpha=0.8),
        (IMAGES,),
        (IMAGES, np.arange(4) % 3),
    ),
    Row(
        lambda: DINO(small_vit(), outputs=9, **HEAD),
        (IMAGES,),
        crop_batch(),
    ),
    Row(
        lambda: FixMatch(small_network(), 3, threshold=0.3),
        (IMAGES,),
        semi_batch(4, 12),
    ),
    Row(
        lambda: FlexMatch(small_network(), 3, images=12, threshold=0.3),
        (IMAGES,),
        semi_batch(4, 12),
    ),
    Row(lambda: FreeMatch(small_network(), 3), (IMAGES,), semi_batch(4, 12)),
    Row(lambda: MAE(small_vit(), mask_ratio=0.5, **DECODER), (IMAGES,), IMAGES),
    Row(lambda: MeanTeacher(small_network(), 3), (IMAGES,), semi_batch(4, 12)),
    Row(lambda: PiModel(small_network(), 3), (IMAGES,), semi_batch(4, 12)),
    Row(
        lambda: PseudoLabel(small_network(), 3, threshold=0.3),
        (IMAGES,),
        semi_batch(4, 12),
    ),
    Row(lambda: SemiSupervised(small_network(), 3), (IMAGES,), semi_batch(4, 12)),
    Row(
        lambda: SemiMAE(small_vit(), 3, threshold=0.0, mask_ratio=0.5, **DECODER),
        (IMAGES,),
        semi_batch(4, 12),
    ),
    Row(lambda: SemiViT(small_vit(), 3, threshold=0.0), (IMAGES,), semi_batch(4, 12)),
    Row(lambda: SoftMatch(small_network(), 3), (IMAGES,), semi_batch(4, 12)),
    Row(lambda: Supervised(small_network(), 3), (IMAGES,), semi_batch(4, 12)),
    Row(lambda: UDA(small_network(), 3, threshold=0.3), (IMAGES,), semi_batch(4, 12)),
    Row(
        lambda: Semiformer(small_semiformer(), 3, threshold=0.3),
        (IMAGES,),
        semi_batch(4, 12),
        batch_statistics=True,
    ),
    Row(
        lambda: TwoStreamClassifier(small_semiformer(), 3),
        (IMAGES,),
        (IMAGES, np.arange(4) % 3),
        batch_statistics=True,
    ),
]
# Bases of backbones and methods, which are not used by themselves.
ABSTRACT = {"PixelBackbone", "ResidualNetwork"}
ABSTRACT |= {"Method", "ReplicatedFit", "LabeledMethod", "ConsistencyMethod"}
