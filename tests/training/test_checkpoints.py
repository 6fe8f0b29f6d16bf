"""Files that hold a run's state: exact, whole, and checked."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.training.checkpoints import (
    Checkpoints,
    load_weights,
    save_weights,
    weight_names,
)
from tests.methods.small import semi_batch, small_vit


def build():
    model = SemiViT(small_vit(drop_path=0.2), 3, threshold=0.0)
    model.compile(keras.optimizers.AdamW(1e-2))
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, steps):
    data = tf.data.Dataset.from_tensors(semi_batch()).repeat(steps)
    model.fit(data, verbose=0, callbacks=[EMATeacher(0.9)])


def test_a_restored_run_continues_bit_for_bit(tmp_path):
    """Drop path and mixing draw from states that are in the checkpoint."""
    first = build()
    fit(first, 3)
    Checkpoints(tmp_path).save(first, epoch=1)
    fit(first, 3)
    second = build()
    assert Checkpoints(tmp_path).restore(second) == (1, 3)
    fit(second, 3)
    assert int(second.optimizer.iterations) == 6
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_only_the_latest_are_kept(tmp_path):
    model = build()
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=2)
    for epoch in range(4):
        model.optimizer.iterations.assign(epoch * 10)
        checkpoints.save(model, epoch)
    names = [path.name for path in checkpoints.paths()]
    assert names == ["step-0000000020.safetensors", "step-0000000030.safetensors"]
    assert checkpoints.restore(model) == (3, 30)
    assert sorted(tmp_path.rglob("*.safetensors")) == checkpoints.paths()


def test_an_empty_folder_starts_at_zero(tmp_path):
    assert Checkpoints(tmp_path / "none").restore(build()) == (0, 0)


def test_weights_of_student_and_teacher_have_the_same_names(tmp_path):
    model = build()
    assert list(weight_names(model.student)) == list(weight_names(model.teacher))
    save_weights(model.student, tmp_path / "student.safetensors")
    model.teacher.set_weights([w + 1 for w in model.teacher.get_weights()])
    load_weights(model.teacher, tmp_path / "student.safetensors")
    for a, b in zip(model.student.weights, model.teacher.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_skipped_weights_keep_their_values(tmp_path):
    source, target = small_vit(), small_vit()
    target.norm.gamma.assign(keras.ops.full((16,), 3.0))
    save_weights(source, tmp_path / "vit.safetensors")
    load_weights(target, tmp_path / "vit.safetensors", skip=("norm/",))
    np.testing.assert_array_equal(target.norm.gamma.numpy(), 3.0)
    np.testing.assert_array_equal(
        target.class_token.numpy(), source.class_token.numpy()
    )


def test_files_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "vit.safetensors"
    save_weights(small_vit(), path)
    with pytest.raises(ValueError, match="12 weights missing.*0 unexpected"):
        load_weights(small_vit(depth=3), path)
    with pytest.raises(ValueError, match="class_token should have shape"):
        load_weights(small_vit(width=32), path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        load_weights(small_vit(), path)
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        load_weights(small_vit(), tmp_path / "absent.safetensors")


def test_a_failed_save_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    model = build()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, 1)

    def fail(arrays, path, metadata):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("semivit_tf.training.checkpoints.save_file", fail)
    model.optimizer.iterations.assign(5)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(model, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["step-0000000000.safetensors"]
    assert checkpoints.restore(model) == (1, 0)
