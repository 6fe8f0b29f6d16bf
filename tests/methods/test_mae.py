"""Masked autoencoding: what is hidden, what is compared, what is trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from semivit_tf.backbones import create_backbone
from semivit_tf.layers.patch_embedding import patchify
from semivit_tf.layers.token_masking import random_token_order
from semivit_tf.methods.mae import MAE
from semivit_tf.training.weight_files import load_weights, save_weights
from tests.methods.small import small_vit


def small_mae(patch_size=2, **options):
    backbone = small_vit(
        patch_size=patch_size,
        position_embedding="sincos",
        initialization="xavier_uniform",
        pooling="class_token",
    )
    sizes = {"decoder_width": 12, "decoder_depth": 1, "decoder_heads": 2}
    return MAE(backbone, seed=0, **{**sizes, **options})


def images(count=3):
    generator = np.random.default_rng(0)
    return generator.uniform(0, 255, (count, 8, 8, 1)).astype("float32")


def test_loss_equals_numpy():
    model = small_mae()
    shuffle, restore = random_token_order(3, 16, seed=1)
    loss = float(model.autoencoder.reconstruction_loss(images(), shuffle, restore))
    pixels = (images() / 255 - 0.5) / 0.5
    patches = pixels.reshape(3, 4, 2, 4, 2, 1).transpose(0, 1, 3, 2, 4, 5)
    patches = patches.reshape(3, 16, 4)
    centred = patches - patches.mean(-1, keepdims=True)
    targets = centred / np.sqrt(patches.var(-1, ddof=1, keepdims=True) + 1e-6)
    predicted = np.asarray(
        model.decoder(model.autoencoder.encode(images(), shuffle), restore)
    )
    error = ((predicted - targets) ** 2).mean(-1)
    hidden = np.ones((3, 16), bool)
    np.put_along_axis(hidden, np.asarray(shuffle)[:, :4], False, axis=1)
    np.testing.assert_allclose(loss, error[hidden].mean(), rtol=1e-4)


def test_visible_targets_do_not_matter(monkeypatch):
    model = small_mae()
    shuffle, restore = random_token_order(3, 16, seed=1)
    before = float(model.autoencoder.reconstruction_loss(images(), shuffle, restore))
    targets = np.array(model.autoencoder.targets(images()))
    for change_visible, same in ((True, True), (False, False)):
        changed = targets.copy()
        rows = (
            np.asarray(shuffle)[:, :4] if change_visible else np.asarray(shuffle)[:, 4:]
        )
        for sample in range(3):
            changed[sample, rows[sample]] += 10
        monkeypatch.setattr(model.autoencoder, "targets", lambda _, c=changed: c)
        after = float(model.autoencoder.reconstruction_loss(images(), shuffle, restore))
        assert (after == before) == same


def test_hidden_pixels_do_not_reach_the_predictions():
    model = small_mae()
    shuffle, restore = random_token_order(1, 16, seed=2)
    one = images(1)
    hidden = int(np.asarray(shuffle)[0, -1])
    changed = one.copy()
    row, column = 2 * (hidden // 4), 2 * (hidden % 4)
    changed[0, row : row + 2, column : column + 2] = 0
    np.testing.assert_array_equal(
        model.decoder(model.autoencoder.encode(one, shuffle), restore),
        model.decoder(model.autoencoder.encode(changed, shuffle), restore),
    )


def test_order_of_the_visible_tokens_does_not_matter():
    model = small_mae()
    shuffle = np.array(random_token_order(2, 16, seed=3)[0])
    other = shuffle.copy()
    other[:, :4] = shuffle[:, [2, 0, 3, 1]]
    predictions = [
        model.decoder(
            model.autoencoder.encode(images(2), order), np.argsort(order, axis=1)
        )
        for order in (shuffle, other)
    ]
    np.testing.assert_allclose(*predictions, atol=1e-5)


def test_encoder_works_on_the_visible_quarter_only():
    backbone = create_backbone("vit_small_patch16", depth=1, image_size=224)
    model = MAE(backbone, decoder_width=8, decoder_depth=1, decoder_heads=2)
    seen = []
    block = backbone.blocks[0]
    original = block.call
    block.call = lambda tokens, training=False: (
        seen.append(tokens.shape),
        original(tokens, training=training),
    )[1]
    shuffle, _ = random_token_order(2, 196, seed=0)
    model.autoencoder.encode(np.zeros((2, 224, 224, 3), "float32"), shuffle)
    assert seen == [(2, 1 + 49, 384)]


def test_a_vit_built_from_the_encoder_gives_its_features(tmp_path):
    model = small_mae(mask_ratio=0.0)
    shuffle, _ = random_token_order(3, 16, seed=4)
    encoded = model.autoencoder.encode(images(), shuffle)
    assert encoded.shape == (3, 17, 16)
    save_weights(model.backbone, tmp_path / "encoder.safetensors")
    vit = small_vit(patch_size=2, pooling="class_token")  # with learned positions
    load_weights(vit, tmp_path / "encoder.safetensors")
    np.testing.assert_allclose(encoded[:, 0], vit(images()), atol=1e-5)


def test_gradients_reach_the_mask_token_and_no_position_table():
    model = small_mae()
    with tf.GradientTape() as tape:
        loss, _ = model.objective(model.prepare(images()))
    variables = model.trainable_variables
    gradients = dict(
        zip([id(v) for v in variables], tape.gradient(loss, variables), strict=True)
    )
    assert all(gradient is not None for gradient in gradients.values())
    assert np.abs(gradients[id(model.decoder.mask_token)]).max() > 0
    for table in (model.backbone.positions.table, model.decoder.positions.table):
        assert id(table) not in gradients


def test_published_number_of_parameters():
    backbone = create_backbone("vit_base_patch16", position_embedding="sincos")
    model = MAE(backbone)
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert model.count_params() == 111_907_840
    assert trainable == 111_655_680


def test_masks_change_from_step_to_step():
    model = small_mae()
    first, second = (np.asarray(model.draw_order(images())[0]) for _ in range(2))
    assert (first != second).any()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_lowers_the_loss(jit_compile):
    model = small_mae()
    model.compile(keras.optimizers.AdamW(3e-3), jit_compile=jit_compile)
    data = tf.data.Dataset.from_tensors(images(16)).repeat()
    history = model.fit(data, steps_per_epoch=40, epochs=2, verbose=0).history["loss"]
    assert history[1] < 0.95 * history[0]


@pytest.mark.parametrize("ratio", [1.0, -0.1, 0.99])
def test_a_ratio_that_leaves_nothing_is_refused(ratio):
    with pytest.raises(ValueError, match="leave a visible patch"):
        small_mae(mask_ratio=ratio)


def test_patches_of_one_value_cannot_be_normalised():
    with pytest.raises(ValueError, match="more than one value"):
        small_mae(patch_size=1)
    assert small_mae(patch_size=1, normalize_targets=False).autoencoder.visible == 16


def test_another_backbone_is_refused():
    inputs = keras.Input((8, 8, 1))
    with pytest.raises(ValueError, match="should be a ViT"):
        MAE(keras.Model(inputs, keras.layers.Flatten()(inputs)))


def test_pictures_show_the_image_what_is_seen_and_what_is_made_of_it():
    images = np.random.default_rng(0).uniform(20, 230, (5, 8, 8, 1)).astype("float32")
    model = MAE(
        small_vit(), mask_ratio=0.5, decoder_width=8, decoder_depth=1, decoder_heads=2
    )
    image, seen, made = np.split(np.asarray(model.pictures(images)), 3, axis=2)
    np.testing.assert_allclose(image, images, atol=1e-3)
    patches = patchify(seen - images, 4).numpy()
    visible = np.abs(patches).max(axis=-1) < 1e-3
    np.testing.assert_array_equal(visible.sum(axis=1), 2)
    # Hidden patches are shown in the mean colour, 0.5, and rebuilt otherwise.
    np.testing.assert_allclose(patchify(seen, 4)[~visible], 127.5, atol=1e-3)
    np.testing.assert_allclose(
        patchify(made, 4)[visible], patchify(images, 4)[visible], atol=1e-3
    )
    assert (np.abs(patchify(made - images, 4)[~visible]).max(axis=-1) > 1).all()
    assert made.min() >= 0 and made.max() <= 255


def test_a_perfect_prediction_is_the_image():
    """Rebuilt patches get back the mean and deviation that targets were freed of."""
    images = np.random.default_rng(1).uniform(20, 230, (2, 8, 8, 1)).astype("float32")
    model = MAE(small_vit(), decoder_width=8, decoder_depth=1, decoder_heads=2)
    targets = model.autoencoder.targets(images)
    model.autoencoder.decoder = lambda encoded, restore: targets
    made = np.asarray(model.pictures(images))[:, :, 16:]
    np.testing.assert_allclose(made, images, atol=0.01)


class FixedOrder(MAE):
    """Hides the same patches of every image."""

    def draw_order(self, images):
        order = ops.tile(
            ops.convert_to_tensor([[2, 0, 3, 1]]), (ops.shape(images)[0], 1)
        )
        return order, ops.argsort(order, axis=1)


def fixed_order(**options):
    keras.utils.set_random_seed(0)
    sizes = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    return FixedOrder(small_vit(**options), **sizes, **options)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_accumulated_halves_equal_the_whole_batch(jit_compile):
    images = np.random.default_rng(0).uniform(0, 255, (8, 8, 8, 1)).astype("float32")
    weights = []
    for steps, size in ((None, 8), (2, 4)):
        model = fixed_order()
        optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=steps)
        model.compile(optimizer, jit_compile=jit_compile)
        data = tf.data.Dataset.from_tensor_slices(images).batch(size)
        model.fit(data, epochs=3, verbose=0)
        weights.append(model.get_weights())
    for whole, halves in zip(*weights, strict=True):
        np.testing.assert_allclose(halves, whole, atol=2e-5)


def test_bfloat16_keeps_the_loss_in_float32_and_near():
    images = np.random.default_rng(0).uniform(0, 255, (8, 8, 8, 1)).astype("float32")
    exact = fixed_order()
    rounded = fixed_order(dtype="mixed_bfloat16")
    rounded.set_weights(exact.get_weights())
    order = exact.draw_order(images)
    expected = exact.autoencoder.reconstruction_loss(images, *order)
    loss = rounded.autoencoder.reconstruction_loss(images, *order)
    assert loss.dtype == "float32"
    assert abs(float(loss) - float(expected)) < 0.02 * float(expected)
    rounded.compile(keras.optimizers.AdamW(3e-3), jit_compile=True)
    history = rounded.fit(images, epochs=20, batch_size=8, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]
    assert all(weight.dtype == "float32" for weight in rounded.trainable_variables)
