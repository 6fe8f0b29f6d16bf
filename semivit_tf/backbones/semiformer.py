"""Semiformer's network: Conformer with wider fusion, and with options."""

import keras

from semivit_tf.backbones.conformer import CONFORMER_SIZES, Conformer
from semivit_tf.layers.fused_block import FusedBlock, MixerFusedBlock
from semivit_tf.layers.patch_stem import PatchStem
from semivit_tf.layers.position_embedding import PositionEmbedding

SEMIFORMER_SIZES = {"semiformer_small": CONFORMER_SIZES["conformer_small"]}


@keras.saving.register_keras_serializable(package="semivit_tf")
class SemiformerBackbone(Conformer):
    """A Conformer whose streams tell each other all channels, see `FusedBlock`.

    Args:
        *args: See `Conformer`.
        position_embedding: Optional `"learned"` or `"sincos"`: a table of positions for
            the patch tokens.
        separate: Bool. Whether the streams tell each other nothing and share the stem
            alone.
        conv_stream: `"resnet"`; or `"conv_mixer"`: blocks of ConvMixer in one stage, on
            a stem of patches of `stem_stride` pixels, as wide as the stage.
        **kwargs: See `Conformer`.

    Reference:
        Weng et al., Semi-Supervised Vision Transformers, 2022.
    """

    arguments = (*Conformer.arguments, "position_embedding", "separate", "conv_stream")

    def __init__(
        self,
        *args,
        position_embedding=None,
        separate=False,
        conv_stream="resnet",
        **kwargs,
    ):
        kwargs.setdefault("name", "semiformer")
        if conv_stream not in ("resnet", "conv_mixer"):
            raise ValueError(
                '`conv_stream` should be "resnet" or "conv_mixer". '
                f"Received: conv_stream={conv_stream!r}"
            )
        # Conformer's constructor makes the layers.
        self.position_embedding = position_embedding
        self.separate = separate
        self.conv_stream = conv_stream
        super().__init__(*args, **kwargs)

    @property
    def fused_block(self):
        """The class of the blocks."""
        return {"resnet": FusedBlock, "conv_mixer": MixerFusedBlock}[self.conv_stream]

    def make_stem(self):
        if self.conv_stream == "resnet":
            return super().make_stem()
        return PatchStem(
            self.widths[0],
            self.stem_stride,
            synchronized=self.synchronized,
            name="stem",
            dtype=self.dtype_policy,
        )

    def strides(self):
        if self.conv_stream == "resnet":
            return super().strides()
        if len(self.depths) > 1:
            raise ValueError(
                "ConvMixer should have one stage. "
                f"Received: depths={self.depths}, widths={self.widths}"
            )
        return [1] * self.depths[0]

    @property
    def last_stride(self):
        """The stride of the last convolutional block."""
        return super().last_stride if self.conv_stream == "resnet" else 1

    def build(self, input_shape):
        if self.position_embedding:
            rows, columns = (side // self.patch_size for side in self.image_size)
            self.positions = PositionEmbedding(
                (rows, columns),
                kind=self.position_embedding,
                class_row=False,
                name="positions",
                dtype=self.dtype_policy,
            )
            self.positions.build((None, rows * columns, self.width))
        super().build(input_shape)

    def patch_tokens(self, features):
        tokens = super().patch_tokens(features)
        if not self.position_embedding:
            return tokens
        side = self.patch_embedding.patch_size
        rows, columns = (size // side for size in features.shape[1:3])
        return self.positions(tokens, grid=(rows, columns))

    def layer_groups(self):
        first, *groups = super().layer_groups()
        if self.position_embedding:
            first = [*first, *self.positions.trainable_variables]
        return [first, *groups]
