"""The decoder of a masked autoencoder: from the visible patches to all of them."""

import keras
from keras import ops

from semivit_tf.layers.layer_norm import LayerNorm
from semivit_tf.layers.position_embedding import PositionEmbedding
from semivit_tf.layers.token_masking import gather_tokens
from semivit_tf.layers.transformer_block import TransformerBlock


@keras.saving.register_keras_serializable(package="semivit_tf")
class MAEDecoder(keras.layers.Layer):
    """Rebuilds all patches from the encoded visible ones.

    Args:
        grid: Tuple `(rows, columns)` of patches.
        outputs: Integer. Values in a patch, P * P * C.
        width: Integer. Channels of a decoder token.
        depth: Integer. Number of blocks.
        heads: Integer.
    """

    def __init__(self, grid, outputs, width, depth, heads, **kwargs):
        super().__init__(**kwargs)
        self.grid = tuple(grid)
        self.outputs = outputs
        self.width = width
        self.depth = depth
        self.heads = heads
        shared = {"dtype": self.dtype_policy}
        self.embedding = keras.layers.Dense(width, name="embedding", **shared)
        self.positions = PositionEmbedding(
            self.grid, kind="sincos", name="positions", **shared
        )
        self.blocks = [
            TransformerBlock(heads, name=f"block{index}", **shared)
            for index in range(depth)
        ]
        self.norm = LayerNorm(name="norm", **shared)
        self.prediction = keras.layers.Dense(outputs, name="prediction", **shared)

    def build(self, input_shape):
        tokens = (None, self.grid[0] * self.grid[1], self.width)
        self.embedding.build(input_shape)
        self.positions.build(tokens)
        self.mask_token = self.add_weight(
            shape=(1, self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="mask_token",
        )
        for layer in (*self.blocks, self.norm, self.prediction):
            layer.build(tokens)

    def call(self, encoded, restore, training=False):
        tokens = self.embedding(encoded)  # [B, 1 + M, D]
        batch, count = ops.shape(restore)[0], restore.shape[1]
        hidden = count - (tokens.shape[1] - 1)
        filler = ops.cast(self.mask_token, tokens.dtype)[None]
        filler = ops.broadcast_to(filler, (batch, hidden, self.width))
        patches = ops.concatenate([tokens[:, 1:], filler], axis=1)
        patches = self.positions(gather_tokens(patches, restore))
        first = tokens[:, :1] + ops.cast(self.positions.class_row(), tokens.dtype)
        tokens = ops.concatenate([first, patches], axis=1)
        for block in self.blocks:
            tokens = block(tokens, training=training)
        return self.prediction(self.norm(tokens, training=training))[:, 1:]

    def compute_output_shape(self, encoded_shape, restore_shape):
        return (encoded_shape[0], self.grid[0] * self.grid[1], self.outputs)

    def get_config(self):
        names = ("grid", "outputs", "width", "depth", "heads")
        config = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **config}
