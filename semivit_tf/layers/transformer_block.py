"""One pre-norm transformer block: attention, then a feed-forward part."""

import keras

from semivit_tf.layers.drop_path import DropPath
from semivit_tf.layers.feed_forward import FeedForward
from semivit_tf.layers.gated_feed_forward import GatedFeedForward, gated_width
from semivit_tf.layers.layer_norm import LayerNorm
from semivit_tf.layers.self_attention import SelfAttention

FEED_FORWARDS = ("gelu", "swiglu")


@keras.saving.register_keras_serializable(package="semivit_tf")
class TransformerBlock(keras.layers.Layer):
    """Attention and feed-forward part, each with a norm before and a residual around.

    Args:
        heads: Integer. Attention heads.
        mlp_ratio: Float. Hidden width of the feed-forward part over the width.
        feed_forward: `"gelu"`, or `"swiglu"` (gated), which is given two thirds of the
            hidden width, rounded up to a multiple of 8.
        layer_scale: Optional positive float. What the factors on the channels of both
            branches start from; None for no factors.
        drop_path: Float in [0, 1). The rate of both residual branches.
        qkv_bias: Bool. Whether queries, keys and values have a bias.
        norm_epsilon: Float. See `LayerNorm`.
        kernel_initializer: Keras initializer or its config for all dense kernels.
        rematerialize: Bool. Whether training computes the block's activations twice
            instead of keeping them for the gradients.

    Reference:
        Dosovitskiy et al., An Image is Worth 16x16 Words, 2021.
    """

    def __init__(
        self,
        heads,
        *,
        mlp_ratio=4.0,
        feed_forward="gelu",
        layer_scale=None,
        drop_path=0.0,
        qkv_bias=True,
        norm_epsilon=1e-6,
        kernel_initializer="glorot_uniform",
        rematerialize=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if feed_forward not in FEED_FORWARDS:
            raise ValueError(
                f"`feed_forward` should be one of {FEED_FORWARDS}. "
                f"Received: feed_forward={feed_forward!r}"
            )
        if layer_scale is not None and layer_scale <= 0:
            raise ValueError(
                f"`layer_scale` should be positive. Received: layer_scale={layer_scale}"
            )
        self.heads = heads
        self.mlp_ratio = mlp_ratio
        self.feed_forward = feed_forward
        self.layer_scale = layer_scale
        self.drop_path = drop_path
        self.qkv_bias = qkv_bias
        self.norm_epsilon = norm_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.rematerialize = rematerialize

    def build(self, input_shape):
        width = input_shape[-1]
        shared = {"dtype": self.dtype_policy}
        initializer = {"kernel_initializer": self.kernel_initializer.clone()}
        self.norm1 = LayerNorm(self.norm_epsilon, name="norm1", **shared)
        self.attention = SelfAttention(
            self.heads,
            qkv_bias=self.qkv_bias,
            name="attention",
            **initializer,
            **shared,
        )
        self.norm2 = LayerNorm(self.norm_epsilon, name="norm2", **shared)
        hidden = int(width * self.mlp_ratio)
        if self.feed_forward == "swiglu":
            layer, hidden = GatedFeedForward, gated_width(hidden)
        else:
            layer = FeedForward
        self.mlp = layer(hidden, name="mlp", **initializer, **shared)
        self.branch1 = DropPath(self.drop_path, name="drop_path1", **shared)
        self.branch2 = DropPath(self.drop_path, name="drop_path2", **shared)
        for layer in (self.norm1, self.attention, self.norm2, self.mlp):
            layer.build(input_shape)
        self.scale1 = self._add_scale("scale1", width)
        self.scale2 = self._add_scale("scale2", width)

    def _add_scale(self, name, width):
        """Returns the factors of a branch, or None where there are none."""
        if self.layer_scale is None:
            return None
        start = keras.initializers.Constant(self.layer_scale)
        return self.add_weight(shape=(width,), initializer=start, name=name)

    def call(self, tokens, training=False):
        def attend(tokens):
            return _scaled(self.attention(self.norm1(tokens)), self.scale1)

        def feed_forward(tokens):
            return _scaled(self.mlp(self.norm2(tokens)), self.scale2)

        if self.rematerialize and training:
            # Drop path stays outside: computed twice, it would draw twice.
            attend, feed_forward = keras.remat(attend), keras.remat(feed_forward)
        tokens += self.branch1(attend(tokens), training=training)
        return tokens + self.branch2(feed_forward(tokens), training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.heads,
            "mlp_ratio": self.mlp_ratio,
            "feed_forward": self.feed_forward,
            "layer_scale": self.layer_scale,
            "drop_path": self.drop_path,
            "qkv_bias": self.qkv_bias,
            "norm_epsilon": self.norm_epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "rematerialize": self.rematerialize,
        }


def _scaled(change, scale):
    return change if scale is None else change * scale
