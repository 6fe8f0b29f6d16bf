"""The semi-supervised methods by the names that flags know."""

from semivit_tf.methods.semi_vit import SemiViT

SEMI_METHODS = {"semi_vit": SemiViT}
