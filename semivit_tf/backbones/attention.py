"""Which patches of an image a network looks at."""

from keras import ops

from semivit_tf.backbones.vit import ViT


def has_attention(backbone):
    """Returns whether `attention_maps` knows this kind of backbone."""
    return isinstance(backbone, ViT)


def attention_maps(backbone, images):
    """Returns the attention that patches get in the last block: `[B, rows, columns]`.

    It is the mean over the heads: of the class token's attention where that becomes the
    features, else of all patches' attention. Each map sums to 1.

    Args:
        backbone: One of which `has_attention` is true.
        images: Tensor `[B, H, W, C]` of the size that the backbone is made for.
    """
    tokens = backbone.prepend_class_token(backbone.patch_tokens(images))
    for block in backbone.blocks[:-1]:
        tokens = block(tokens)
    last, first = backbone.blocks[-1], 1 + backbone.registers
    attention, _ = last.attention.attend(last.norm1(tokens))  # [B, heads, N, N]
    attending = slice(0, 1) if backbone.pooling == "class_token" else slice(first, None)
    received = ops.mean(attention[:, :, attending, first:], axis=(1, 2))
    received = ops.cast(received, "float32")
    received /= ops.sum(received, axis=-1, keepdims=True)
    return ops.reshape(received, (-1, *backbone.grid))
