"""Patches: an image as a row of tokens, and back."""

import keras
from keras import ops


def for_each_image(rows, images):
    """Returns rows `[N, D]` once for each image of a tensor: `[B, N, D]`."""
    shape = (ops.shape(images)[0], *rows.shape)
    return ops.broadcast_to(ops.convert_to_tensor(rows)[None], shape)


def patchify(images, patch_size):
    """Cuts images into a row-major grid of flattened square patches.

    Args:
        images: Tensor `[B, H, W, C]`, H and W static multiples of `patch_size`.
        patch_size: Integer P.

    Returns:
        Tensor `[B, N, P * P * C]`; inside a patch the order is (row, column, channel).
    """
    height, width, channels = images.shape[1:]
    rows, columns = height // patch_size, width // patch_size
    grid = ops.reshape(images, (-1, rows, patch_size, columns, patch_size, channels))
    grid = ops.transpose(grid, (0, 1, 3, 2, 4, 5))
    return ops.reshape(grid, (-1, rows * columns, patch_size**2 * channels))


def unpatchify(patches, patch_size, grid):
    """Joins patches into images: the inverse of `patchify`.

    Args:
        patches: Tensor `[B, N, P * P * C]`.
        patch_size: Integer P.
        grid: Tuple `(rows, columns)` with rows * columns = N.

    Returns:
        Tensor `[B, H, W, C]`.
    """
    rows, columns = grid
    channels = patches.shape[-1] // patch_size**2
    cells = ops.reshape(patches, (-1, rows, columns, patch_size, patch_size, channels))
    cells = ops.transpose(cells, (0, 1, 3, 2, 4, 5))
    return ops.reshape(cells, (-1, rows * patch_size, columns * patch_size, channels))


@keras.saving.register_keras_serializable(package="semivit_tf")
class PatchEmbedding(keras.layers.Layer):
    """Projects each patch to a token: a convolution with stride = kernel = patch.

    Written as one matrix product over `patchify`, so that its kernel `[P * P * C, D]`
    is the published `[D, C, P, P]` kernel transposed and flattened.

    Args:
        patch_size: Integer P.
        width: Integer D.
        kernel_initializer: Keras initializer, or None for the uniform distribution
            with bound 1 / sqrt(P * P * C) that published convolutions start from
            (bias included).
    """

    def __init__(self, patch_size, width, *, kernel_initializer=None, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size
        self.width = width
        self.kernel_initializer = (
            None
            if kernel_initializer is None
            else keras.initializers.get(kernel_initializer)
        )

    def build(self, input_shape):
        inputs = self.patch_size**2 * input_shape[-1]
        if self.kernel_initializer is None:
            bound = inputs**-0.5
            kernel = keras.initializers.RandomUniform(-bound, bound)
            bias = keras.initializers.RandomUniform(-bound, bound)
        else:
            kernel, bias = self.kernel_initializer.clone(), "zeros"
        self.kernel = self.add_weight(
            shape=(inputs, self.width), initializer=kernel, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.width,), initializer=bias, name="bias")

    def call(self, images):
        return ops.matmul(patchify(images, self.patch_size), self.kernel) + self.bias

    def compute_output_shape(self, input_shape):
        rows = input_shape[1] // self.patch_size
        columns = input_shape[2] // self.patch_size
        return (input_shape[0], rows * columns, self.width)

    def get_config(self):
        initializer = self.kernel_initializer
        return {
            **super().get_config(),
            "patch_size": self.patch_size,
            "width": self.width,
            "kernel_initializer": initializer
            and keras.initializers.serialize(initializer),
        }
