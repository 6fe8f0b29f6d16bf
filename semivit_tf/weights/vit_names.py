"""Names of the weights of a ViT, and of a decoder of MAE, in published files."""

from semivit_tf.weights.dialect import Place, dense, norm
from semivit_tf.weights.layouts import (
    FROM_HEADS,
    HEADS_BIAS,
    IMAGE_PATCHES,
    KERNEL,
    PATCHES,
    TO_HEADS,
    TOKENS,
    VECTOR,
)

PARTS = ("query", "key", "value")
QKV = "attention/qkv"


def _block(published, ours):
    """Returns the entries of one block, by timm's names."""
    return {
        **norm(f"{published}.norm1", f"{ours}/norm1"),
        **dense(f"{published}.attn.qkv", f"{ours}/{QKV}"),
        **dense(f"{published}.attn.proj", f"{ours}/attention/projection"),
        **norm(f"{published}.norm2", f"{ours}/norm2"),
        **dense(f"{published}.mlp.fc1", f"{ours}/mlp/expand"),
        **dense(f"{published}.mlp.fc2", f"{ours}/mlp/contract"),
        f"{published}.ls1.gamma": Place(f"{ours}/scale1", VECTOR),
        f"{published}.ls2.gamma": Place(f"{ours}/scale2", VECTOR),
    }


def timm_names(depth, norm_name="norm"):
    """Returns the names of timm, which MAE, DINO, DeiT and Semi-ViT share.

    Args:
        depth: Integer. Number of blocks.
        norm_name: `"norm"`, of tokens, or `"fc_norm"`, of their mean.
    """
    names = {
        "cls_token": Place("class_token", TOKENS),
        "pos_embed": Place("positions/position_table", TOKENS),
        "reg_token": Place("register_tokens", TOKENS),
        **dense("patch_embed.proj", "patch_embedding", PATCHES),
        **norm(norm_name, "norm"),
        **dense("head", "head"),
    }
    for index in range(depth):
        names.update(_block(f"blocks.{index}", f"block{index}"))
    return names


def dinov2_names(depth):
    """Returns the names of DINOv2's own files, as far as they are not timm's."""
    names = timm_names(depth)
    names["register_tokens"] = names.pop("reg_token")
    for index in range(depth):
        there, here = f"blocks.{index}.mlp", f"block{index}/mlp"
        names |= dense(f"{there}.w12", f"{here}/expand")
        names |= dense(f"{there}.w3", f"{here}/contract")
    return names


def split_names(depth):
    """Returns the names of timm's attention where it is not fused."""
    names = {}
    for index in range(depth):
        for part, word in enumerate(PARTS):
            for spelled in (word, word[0], f"{word[0]}_proj"):
                published = f"blocks.{index}.attn.{spelled}"
                names.update(dense(published, f"block{index}/{QKV}", part=part))
    return names


def decoder_names(depth):
    """Returns the names of a decoder of MAE."""
    names = {
        "mask_token": Place("decoder/mask_token", TOKENS),
        "decoder_pos_embed": Place("decoder/positions/position_table", TOKENS),
        **dense("decoder_embed", "decoder/embedding"),
        **norm("decoder_norm", "decoder/norm"),
        **dense("decoder_pred", "decoder/prediction"),
    }
    for index in range(depth):
        names.update(_block(f"decoder_blocks.{index}", f"decoder/block{index}"))
    return names


def _transformers_shared(depth):
    """Returns what Hugging Face's ViT and Dinov2 name alike."""
    names = {
        "embeddings.cls_token": Place("class_token", TOKENS),
        "embeddings.position_embeddings": Place("positions/position_table", TOKENS),
        **dense("embeddings.patch_embeddings.projection", "patch_embedding", PATCHES),
        **norm("layernorm", "norm"),
        **dense("classifier", "head"),
    }
    for index in range(depth):
        there, here = f"encoder.layer.{index}.attention", f"block{index}"
        for part, word in enumerate(PARTS):
            query = f"{there}.attention.{word}"
            names.update(dense(query, f"{here}/{QKV}", part=part))
        names |= dense(f"{there}.output.dense", f"{here}/attention/projection")
    return names


def transformers_dinov2_names(depth):
    """Returns the names of Hugging Face's Dinov2 and Dinov2WithRegisters."""
    names = _transformers_shared(depth)
    names["embeddings.register_tokens"] = Place("register_tokens", TOKENS)
    for index in range(depth):
        there, here = f"encoder.layer.{index}", f"block{index}"
        names |= {
            **norm(f"{there}.norm1", f"{here}/norm1"),
            **norm(f"{there}.norm2", f"{here}/norm2"),
            f"{there}.layer_scale1.lambda1": Place(f"{here}/scale1", VECTOR),
            f"{there}.layer_scale2.lambda1": Place(f"{here}/scale2", VECTOR),
        }
        for first, second in (("fc1", "fc2"), ("weights_in", "weights_out")):
            names |= dense(f"{there}.mlp.{first}", f"{here}/mlp/expand")
            names |= dense(f"{there}.mlp.{second}", f"{here}/mlp/contract")
    return names


def transformers_names(depth):
    """Returns the names of Hugging Face's ViT and DeiT, without a leading `vit.`."""
    names = _transformers_shared(depth)
    for index in range(depth):
        there, here = f"encoder.layer.{index}", f"block{index}"
        names |= {
            **norm(f"{there}.layernorm_before", f"{here}/norm1"),
            **norm(f"{there}.layernorm_after", f"{here}/norm2"),
            **dense(f"{there}.intermediate.dense", f"{here}/mlp/expand"),
            **dense(f"{there}.output.dense", f"{here}/mlp/contract"),
        }
    return names


def _jax_dense(published, ours, layout=KERNEL, bias=VECTOR, part=None):
    return {
        f"{published}/kernel": Place(f"{ours}/kernel", layout, part),
        f"{published}/bias": Place(f"{ours}/bias", bias, part),
    }


def _jax_norm(published, ours):
    return {
        f"{published}/scale": Place(f"{ours}/gamma", VECTOR),
        f"{published}/bias": Place(f"{ours}/beta", VECTOR),
    }


def jax_names(depth):
    """Returns the names of the JAX release of ViT, and of its successor's numbering."""
    table = Place("positions/position_table", TOKENS)
    names = {
        "cls": Place("class_token", TOKENS),
        "pos_embedding": table,
        "Transformer/posembed_input/pos_embedding": table,
        **_jax_dense("embedding", "patch_embedding", IMAGE_PATCHES),
        **_jax_norm("Transformer/encoder_norm", "norm"),
        **_jax_dense("head", "head"),
    }
    for index in range(depth):
        there, here = f"Transformer/encoderblock_{index}", f"block{index}"
        for norms, attention, mlp in (((0, 2), 1, 3), ((0, 1), 0, 0)):
            heads = f"{there}/MultiHeadDotProductAttention_{attention}"
            layers = f"{there}/MlpBlock_{mlp}"
            for part, word in enumerate(PARTS):
                names |= _jax_dense(
                    f"{heads}/{word}", f"{here}/{QKV}", TO_HEADS, HEADS_BIAS, part
                )
            names |= {
                **_jax_dense(
                    f"{heads}/out", f"{here}/attention/projection", FROM_HEADS
                ),
                **_jax_dense(f"{layers}/Dense_0", f"{here}/mlp/expand"),
                **_jax_dense(f"{layers}/Dense_1", f"{here}/mlp/contract"),
                **_jax_norm(f"{there}/LayerNorm_{norms[0]}", f"{here}/norm1"),
                **_jax_norm(f"{there}/LayerNorm_{norms[1]}", f"{here}/norm2"),
            }
    return names
