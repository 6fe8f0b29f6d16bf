"""U-ViT, a transformer with long skips that predicts the noise in an image."""

import keras
from keras import ops

from semivit_tf.diffusion.time_embedding import time_embedding
from semivit_tf.layers.layer_norm import LayerNorm
from semivit_tf.layers.patch_embedding import PatchEmbedding, unpatchify
from semivit_tf.layers.transformer_block import TransformerBlock

_LARGE = {"width": 1024, "depth": 20, "heads": 16}
_HUGE = {"width": 1152, "depth": 28, "heads": 16, "final_convolution": False}


def _size(image_size, channels, patch_size, num_classes, **sizes):
    given = {"image_size": image_size, "channels": channels, "patch_size": patch_size}
    return {**given, "num_classes": num_classes, **sizes}


# The published networks. Those of 32x32x4 and 64x64x4 see an encoder's latents of
# images of 256 and 512 pixels; the last row of a table of 1001 means "no class".
U_VIT_SIZES = {
    "u_vit_small_patch2_cifar10": _size(32, 3, 2, None, width=512, depth=12, heads=8),
    "u_vit_small_patch4_celeba64": _size(64, 3, 4, None, width=512, depth=12, heads=8),
    "u_vit_medium_patch4_imagenet64": _size(
        64, 3, 4, 1000, width=768, depth=16, heads=12
    ),
    "u_vit_large_patch4_imagenet64": _size(64, 3, 4, 1000, **_LARGE),
    "u_vit_large_patch2_imagenet256": _size(32, 4, 2, 1001, **_LARGE),
    "u_vit_huge_patch2_imagenet256": _size(32, 4, 2, 1001, **_HUGE),
    "u_vit_large_patch4_imagenet512": _size(64, 4, 4, 1001, **_LARGE),
    "u_vit_huge_patch4_imagenet512": _size(64, 4, 4, 1001, **_HUGE),
}


def create_u_vit(name, **overrides):
    """Builds a U-ViT by its published name, see `U_VIT_SIZES`.

    Args:
        name: Such as `"u_vit_large_patch2_imagenet256"`.
        **overrides: Arguments of `UViT` to change, such as `num_classes=101`.
    """
    if name not in U_VIT_SIZES:
        raise ValueError(
            f"`name` should be one of: {', '.join(U_VIT_SIZES)}. "
            f"Received: name={name!r}"
        )
    return UViT(**{**U_VIT_SIZES[name], **overrides})


def _uniform(inputs):
    """Returns the initial distribution of published convolutions, kernel and bias."""
    bound = inputs**-0.5
    return keras.initializers.RandomUniform(-bound, bound)


@keras.saving.register_keras_serializable(package="semivit_tf")
class UViT(keras.Model):
    """A transformer from noised images, times and classes to the noise in the images.

    Call it with `(images, times, labels)`: images `[B, H, W, C]`; times `[B]`, of 0 to
    about 1000 as `schedule.network_time` gives them; class numbers `[B]`. It returns a
    tensor like the images. Half of the blocks come before a middle one, half after it;
    each of these also gets what the block opposite has returned.

    Args:
        image_size: Integer or tuple `(H, W)`.
        patch_size: Integer P that divides both.
        channels: Integer C.
        width: Even integer D. Channels of a token.
        depth: Even integer. Number of blocks besides the middle one.
        heads: Integer that divides `width`.
        num_classes: Optional integer. Rows in the table of classes; one more than there
            are classes where the last row means "no class". None: no classes.
        final_convolution: Bool. Whether a 3x3 convolution smooths over patch borders.
        rematerialize: Bool. See `TransformerBlock`.

    Reference:
        Bao et al., All are Worth Words: A ViT Backbone for Diffusion Models, 2023.
    """

    def __init__(
        self,
        image_size: int | tuple[int, int],
        patch_size: int,
        channels: int,
        width: int,
        depth: int,
        heads: int,
        num_classes: int | None = None,
        final_convolution: bool = True,
        *,
        rematerialize: bool = False,
        **kwargs,
    ):
        kwargs.setdefault("name", "u_vit")
        kwargs.setdefault("autocast", False)  # images and times arrive unrounded
        super().__init__(**kwargs)
        size = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
        self._check(size, patch_size, width, depth, heads)
        self.image_size = size
        self.patch_size = patch_size
        self.channels = channels
        self.width = width
        self.depth = depth
        self.heads = heads
        self.num_classes = num_classes
        self.final_convolution = final_convolution
        self.rematerialize = rematerialize
        self._make_layers()
        self._build_layers()
        self.built = True

    @staticmethod
    def _check(size, patch_size, width, depth, heads):
        if size[0] % patch_size or size[1] % patch_size:
            raise ValueError(
                "`patch_size` should divide `image_size`. Received: "
                f"image_size={size}, patch_size={patch_size}"
            )
        if width % heads or width % 2:
            raise ValueError(
                "`width` should be even and a multiple of `heads`. "
                f"Received: width={width}, heads={heads}"
            )
        if depth % 2:
            raise ValueError(
                "`depth` should be even: as many blocks after the middle one as "
                f"before it. Received: depth={depth}"
            )

    @property
    def image_shape(self):
        """The shape `(H, W, C)` of the images that the model is made for."""
        return (*self.image_size, self.channels)

    @property
    def grid(self):
        """The rows and columns of patches in an image."""
        return tuple(side // self.patch_size for side in self.image_size)

    @property
    def extra_tokens(self):
        """How many tokens come before the patches: the class, if any, and the time."""
        return 1 if self.num_classes is None else 2

    def _make_layers(self):
        shared = {"dtype": self.dtype_policy}

        def initializer():
            # Published code truncates at 100 deviations, that is, not at all.
            return keras.initializers.RandomNormal(stddev=0.02)

        def block(name):
            return TransformerBlock(
                self.heads,
                qkv_bias=False,
                norm_epsilon=1e-5,
                kernel_initializer=initializer(),
                rematerialize=self.rematerialize,
                name=name,
                **shared,
            )

        def dense(units, name):
            return keras.layers.Dense(
                units, kernel_initializer=initializer(), name=name, **shared
            )

        half = range(self.depth // 2)
        self.patch_embedding = PatchEmbedding(
            self.patch_size, self.width, name="patch_embedding", **shared
        )
        self.in_blocks = [block(f"in_block{number}") for number in half]
        self.middle_block = block("middle_block")
        self.joints = [dense(self.width, f"joint{number}") for number in half]
        self.out_blocks = [block(f"out_block{number}") for number in half]
        self.norm = LayerNorm(1e-5, name="norm", **shared)
        self.head = dense(self.patch_size**2 * self.channels, "head")
        self.convolution = None
        if self.final_convolution:
            self.convolution = keras.layers.Conv2D(
                self.channels,
                3,
                padding="same",
                kernel_initializer=_uniform(9 * self.channels),
                bias_initializer=_uniform(9 * self.channels),
                name="convolution",
                **shared,
            )

    def _build_layers(self):
        images = (None, *self.image_shape)
        count = self.extra_tokens + self.grid[0] * self.grid[1]
        tokens = (None, count, self.width)
        self.patch_embedding.build(images)
        if self.num_classes is not None:
            self.class_table = self.add_weight(
                shape=(self.num_classes, self.width),
                initializer=keras.initializers.RandomNormal(stddev=1.0),
                name="class_table",
            )
        self.position_table = self.add_weight(
            shape=(count, self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="position_table",
        )
        for block in (*self.in_blocks, self.middle_block, *self.out_blocks):
            block.build(tokens)
        for joint in self.joints:
            joint.build((None, count, 2 * self.width))
        self.norm.build(tokens)
        self.head.build(tokens)
        if self.convolution is not None:
            self.convolution.build(images)

    def tokens(self, images, times, labels=None):
        """Returns class, time and patches with their positions: `[B, 2 + N, D]`.

        Without classes there is no token for one.
        """
        if tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(
                f"Images should have the shape (B, *{self.image_shape}). "
                f"Received: shape {tuple(images.shape)}"
            )
        patches = self.patch_embedding(images)
        extra = [time_embedding(times, self.width)]
        if self.num_classes is not None:
            if labels is None:
                raise ValueError(
                    f"`labels` should be given: the network has {self.num_classes} "
                    "classes. Received: labels=None"
                )
            # Out of bounds this fails on CPU only, so callers check labels.
            table = ops.convert_to_tensor(self.class_table)
            extra.insert(0, ops.take(table, ops.cast(labels, "int32"), axis=0))
        first = [ops.cast(token, patches.dtype)[:, None] for token in extra]
        positions = ops.cast(self.position_table, patches.dtype)
        return ops.concatenate([*first, patches], axis=1) + positions

    def call(self, images, times, labels=None, training=False):
        tokens = self.tokens(images, times, labels)
        skipped = []
        for block in self.in_blocks:
            made = block(tokens, training=training)
            skipped.append(made)
            # The next block uses its input twice; see `training/repeatable.py`.
            tokens = ops.copy(made)
        tokens = self.middle_block(tokens, training=training)
        for joint, block in zip(self.joints, self.out_blocks, strict=True):
            joined = ops.concatenate([tokens, skipped.pop()], axis=-1)
            tokens = block(joint(joined), training=training)
        tokens = self.norm(tokens, training=training)
        # The norm and the head act on each token alone.
        patches = self.head(tokens[:, self.extra_tokens :])
        images = unpatchify(patches, self.patch_size, self.grid)
        return images if self.convolution is None else self.convolution(images)

    def compute_output_shape(self, images, times=None, labels=None):
        return images

    def get_config(self):
        names = (
            "image_size patch_size channels width depth heads num_classes "
            "final_convolution rematerialize"
        )
        config = {name: getattr(self, name) for name in names.split()}
        return {**super().get_config(), **config}
