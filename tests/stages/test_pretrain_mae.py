"""What the stage of masked autoencoding builds from flags."""

import numpy as np
import pytest

from tests.stages.runs import prepared

IMAGES = 1438  # of the digits, without those for testing


def built(folder, **flags):
    """The stage's `Training` for patches of 4 x 4 pixels and 16 channels."""
    sizes = {"pretrain_method": "mae", "patch_size": 4, "width": 16}
    run = prepared(folder, **{**sizes, **flags})
    (stage,) = run.wanted
    return stage.kind.prepare(run, stage)


def rates(training, *epochs):
    """The learning rates after so many epochs."""
    schedule = training.model.optimizer._learning_rate
    return [float(schedule(epoch * training.steps_per_epoch)) for epoch in epochs]


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    """What is built where no flag says anything of pre-training."""
    return built(tmp_path_factory.mktemp("default"))


def test_positions_are_fixed_sines_and_cosines(default):
    model = default.model
    trained = {id(variable) for variable in model.trainable_variables}
    for positions in (model.backbone.positions, model.decoder.positions):
        assert id(positions.table) not in trained
        np.testing.assert_array_equal(positions.table[0], 0)
    angles = 10.0 ** -np.arange(4)  # of row 1; column 0 comes first
    expected = np.concatenate([[0] * 4, [1] * 4, np.sin(angles), np.cos(angles)])
    # The class, two patches of row 0, then the first one of row 1.
    table = model.backbone.positions.table
    np.testing.assert_allclose(table[3], expected, atol=1e-6)


def test_weights_start_as_published(default):
    """Kernels within the bounds of Xavier's uniform distribution, and up to them."""
    kernels = 0
    for weight in default.model.trainable_variables:
        values = weight.numpy()
        if weight.name == "kernel":
            bound = np.sqrt(6 / sum(values.shape))
            # The largest of 256 values or more, in float32.
            assert 0.95 < np.abs(values).max() / bound < 1 + 1e-6, weight.path
            np.testing.assert_allclose(values.std(), bound / np.sqrt(3), rtol=0.1)
            kernels += 1
        elif not weight.name.endswith("token"):
            np.testing.assert_array_equal(values, float(weight.name == "gamma"))
    assert kernels == 4 * (1 + 8) + 3  # blocks; both embeddings and the prediction
    token = default.model.decoder.mask_token.numpy()
    np.testing.assert_allclose([token.mean(), token.std()], [0, 0.02], atol=0.003)


def test_the_optimizer_is_the_published_one(default):
    optimizer = default.model.optimizer
    assert (optimizer.beta_1, optimizer.beta_2) == (0.9, 0.95)
    assert optimizer.weight_decay == 0.05 and optimizer.global_clipnorm is None
    assert set(optimizer.scales) == {1.0}
    variables = default.model.trainable_variables
    named = list(zip(variables, optimizer.decayed, strict=True))
    # Tokens are no vectors there, and no name is exempt.
    assert {variable.name for variable, decays in named if decays} == {
        *("kernel", "class_token", "mask_token")
    }
    assert {variable.name for variable, decays in named if not decays} == {
        *("bias", "gamma", "beta")
    }


def test_sizes_and_schedule_where_no_flag_says_them(default):
    model, decoder = default.model, default.model.decoder
    assert (decoder.width, decoder.depth, decoder.heads) == (512, 8, 16)
    autoencoder = model.autoencoder
    assert (autoencoder.mask_ratio, autoencoder.visible) == (0.75, 1)
    assert autoencoder.normalize_targets and model.backbone.drop_path == 0
    assert (default.epochs, default.images_per_step) == (400, 256)
    assert default.steps_per_epoch == IMAGES // 256
    # Up in 40 epochs, half of it after half of the rest, down to nothing.
    expected = [0, 0.75e-4, 1.5e-4, 0.75e-4, 0]
    np.testing.assert_allclose(
        rates(default, 0, 20, 40, 220, 400), expected, rtol=1e-5, atol=1e-12
    )


def test_sizes_and_schedule_follow_the_flags(tmp_path):
    flags = {
        "decoder_width": 24,
        "decoder_depth": 2,
        "decoder_heads": 3,
        "mask_ratio": 0.5,
        "normalize_targets": False,
        "epochs": 20,
        "warmup_epochs": 4.0,
        "batch_size": 64,
        "base_learning_rate": 1e-3,
        "minimum_learning_rate": 1e-5,
        "weight_decay": 0.1,
        "clip_norm": 2.0,
    }
    training = built(tmp_path, **{f"pretrain_{n}": x for n, x in flags.items()})
    model, optimizer = training.model, training.model.optimizer
    assert model.decoder.mask_token.shape == (1, 24)
    assert len(model.decoder.blocks) == 2
    assert {block.heads for block in model.decoder.blocks} == {3}
    assert model.autoencoder.visible == 2
    assert not model.autoencoder.normalize_targets
    assert (optimizer.weight_decay, optimizer.global_clipnorm) == (0.1, 2.0)
    assert training.steps_per_epoch == IMAGES // 64
    # 1e-3 * 64 / 256
    expected = [1.25e-4, 2.5e-4, 1.3e-4, 1e-5]
    np.testing.assert_allclose(rates(training, 2, 4, 12, 20), expected, rtol=1e-4)
