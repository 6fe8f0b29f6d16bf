"""A block of two streams, a map and tokens, which tell each other what they see.

Networks differ in which features of the map are told, and where in the map those of the
tokens arrive: `FusedBlock` is Semiformer's way, its subclasses are others.
"""

import keras
from keras import ops

from semivit_tf.layers.bottleneck import Bottleneck
from semivit_tf.layers.conv_mixer_block import ConvMixerBlock
from semivit_tf.layers.map_to_tokens import MapToTokens
from semivit_tf.layers.tokens_to_map import TokensToMap
from semivit_tf.layers.transformer_block import TransformerBlock


@keras.saving.register_keras_serializable(package="semivit_tf")
class FusedBlock(keras.layers.Layer):
    """A convolutional block, a transformer block and a second convolutional block.

    The output of the first one is added to the tokens, as tokens behind the class
    token, which thereby enters the transformer block doubled. Its patch tokens are
    added to the input of the second one, not to its shortcut.

    Args:
        filters: Integer C. Channels of the map.
        ratio: Integer. Places of the map on a side of a patch token.
        heads: Integer. Attention heads.
        stride: Integer. Of the first convolutional block.
        last_stride: Integer. Of the second one.
        mlp_ratio: See `TransformerBlock`.
        drop_path: Float in [0, 1). Of the transformer block.
        separate: Bool. Whether the streams tell each other nothing.
        synchronized: See `NormalizedConv2D`.

    Reference:
        Weng et al., Semi-Supervised Vision Transformers, 2022.
    """

    def __init__(
        self,
        filters,
        ratio,
        heads,
        *,
        stride=1,
        last_stride=1,
        mlp_ratio=4.0,
        drop_path=0.0,
        separate=False,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.ratio = ratio
        self.heads = heads
        self.stride = stride
        self.last_stride = last_stride
        self.mlp_ratio = mlp_ratio
        self.drop_path = drop_path
        self.separate = separate
        self.synchronized = synchronized

    # === What differs between networks ===

    @staticmethod
    def conv_block(filters, stride, project, **options):
        """Makes a convolutional block."""
        return Bottleneck(filters, stride, project, epsilon=1e-6, **options)

    def told_filters(self):
        """Returns the channels of the map that the tokens make."""
        return self.filters

    def convolved(self, features, training):
        """Returns the map after the first block, and what the tokens are told."""
        made = self.first(features, training=training)
        # The second block uses its input twice; see `training/repeatable.py`.
        return ops.copy(made), made

    def informed(self, features, added, training):
        """Returns the map after the second block, told what the tokens see."""
        return self.second(features, added, training=training)

    # === What they share ===

    def build(self, features_shape, tokens_shape):
        shared = {"dtype": self.dtype_policy}
        options = {"synchronized": self.synchronized, **shared}
        strides, last = self.stride, self.last_stride
        grows = strides > 1 or features_shape[-1] != self.filters
        self.first = self.conv_block(
            self.filters, strides, grows, name="first", **options
        )
        self.second = self.conv_block(
            self.filters, last, last > 1, name="second", **options
        )
        self.transformer = TransformerBlock(
            self.heads,
            mlp_ratio=self.mlp_ratio,
            drop_path=self.drop_path,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="transformer",
            **shared,
        )
        self.first.build(features_shape)
        between = self.first.compute_output_shape(features_shape)
        self.transformer.build(tokens_shape)
        self.second.build(between)
        if not self.separate:
            width, told = tokens_shape[-1], self.told_filters()
            self.down = MapToTokens(width, self.ratio, name="down", **shared)
            self.up = TokensToMap(told, self.ratio, name="up", **options)
            self.down.build((*between[:-1], told))
            self.up.build(tokens_shape)

    def call(self, features, tokens, training=False):
        features, told = self.convolved(features, training)
        added = None
        if not self.separate:
            told = self.down(told, training=training)
            tokens += ops.concatenate([tokens[:, :1], told], axis=1)
        tokens = self.transformer(tokens, training=training)
        if not self.separate:
            grid = tuple(side // self.ratio for side in features.shape[1:3])
            added = self.up(tokens[:, 1:], grid=grid, training=training)
        return self.informed(features, added, training), tokens

    def compute_output_shape(self, features_shape, tokens_shape):
        between = self.first.compute_output_shape(features_shape)
        return self.second.compute_output_shape(between), tokens_shape

    def get_config(self):
        names = (
            "filters ratio heads stride last_stride mlp_ratio drop_path separate "
            "synchronized"
        )
        config = super().get_config()
        return {**config, **{name: getattr(self, name) for name in names.split()}}


@keras.saving.register_keras_serializable(package="semivit_tf")
class MiddleFusedBlock(FusedBlock):
    """Conformer's way: the narrow middles of the bottlenecks are told, and are told.

    See `FusedBlock` for the arguments.

    Reference:
        Peng et al., Conformer: Local Features Coupling Global Representations, 2021.
    """

    def told_filters(self):
        return self.filters // 4

    def convolved(self, features, training):
        middle = self.first.middle(features, training=training)
        return self.first.end(middle, features, training=training), middle

    def informed(self, features, added, training):
        middle = self.second.middle(features, added, training=training)
        return self.second.end(middle, features, training=training)


@keras.saving.register_keras_serializable(package="semivit_tf")
class MixerFusedBlock(FusedBlock):
    """Semiformer's way, with blocks of ConvMixer, which change no size.

    See `FusedBlock` for the arguments.
    """

    @staticmethod
    def conv_block(filters, stride, project, **options):
        return ConvMixerBlock(**options)
