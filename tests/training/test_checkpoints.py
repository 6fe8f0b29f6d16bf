"""Files that hold a run's state: exact, whole, and checked."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.training.checkpoints import Checkpoints, Position
from semivit_tf.training.non_finite import NonFiniteLossError
from semivit_tf.training.weight_files import (
    CheckpointError,
    load_weights,
    read_arrays,
    save_weights,
    weight_names,
    write_arrays,
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
    Checkpoints(tmp_path).save(first, Position(1, 3))
    fit(first, 3)
    second = build()
    assert Checkpoints(tmp_path).restore(second) == Position(1, 3)
    fit(second, 3)
    assert int(second.optimizer.iterations) == 6
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_only_the_latest_are_kept(tmp_path):
    model = build()
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=2)
    for epoch in range(4):
        checkpoints.save(model, Position(epoch, epoch * 10))
    names = [path.name for path in checkpoints.paths()]
    assert names == ["step-0000000020.safetensors", "step-0000000030.safetensors"]
    assert checkpoints.restore(model) == Position(3, 30)
    assert sorted(tmp_path.rglob("*.safetensors")) == checkpoints.paths()


def test_an_empty_folder_starts_at_zero(tmp_path):
    assert Checkpoints(tmp_path / "none").restore(build()) == Position(0, 0)


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
        load_weights(small_vit(depth=2), path)
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
    checkpoints.save(model, Position(1, 4))

    def fail(arrays, path, metadata):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("semivit_tf.training.weight_files.save_file", fail)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(model, Position(2, 8))
    assert [p.name for p in tmp_path.iterdir()] == ["step-0000000004.safetensors"]
    assert checkpoints.restore(model) == Position(1, 4)


def test_the_best_is_the_earliest_of_the_highest(tmp_path):
    model = build()
    for epoch, value in enumerate([0.5, 0.75, 0.7, 0.75], start=1):
        model.student.head.bias.assign([float(epoch)] * 3)
        # A run that is continued knows the best of the time before.
        checkpoints = Checkpoints(tmp_path)
        checkpoints.save_best(model, Position(epoch, epoch), "teacher", value)
    assert checkpoints.paths() == []
    arrays, metadata = read_arrays(tmp_path / "best-teacher.safetensors")
    expected = {"epoch": 2, "step": 2, "value": 0.75}
    assert json.loads(metadata["position"]) == expected
    biases = [a.tolist() for a in arrays.values() if a.shape == (3,)]
    assert [2.0] * 3 in biases
    assert {name.split("/")[0] for name in arrays} == {"model"}
    assert Checkpoints(tmp_path).load_best(model, "teacher") == expected
    assert model.student.head.bias.numpy().tolist() == [2.0] * 3
    assert Checkpoints(tmp_path).load_best(model, "student") is None


def test_best_weights_with_running_means_beside_them_are_read(tmp_path):
    """As files are that were written before methods had parts."""
    model = build()
    model.student.head.bias.assign([1.0, 2.0, 3.0])
    Checkpoints(tmp_path).save_best(model, Position(1, 1), "teacher", 0.5)
    path = tmp_path / "best-teacher.safetensors"
    arrays, metadata = read_arrays(path)
    write_arrays(path, {**arrays, "means/00000/total": np.zeros(())}, metadata)
    model.student.head.bias.assign([0.0, 0.0, 0.0])
    assert Checkpoints(tmp_path).load_best(model, "teacher")["value"] == 0.5
    assert model.student.head.bias.numpy().tolist() == [1.0, 2.0, 3.0]


def test_what_differs_between_replicas_is_kept_of_each(tmp_path, mirrored):
    def everywhere(variable):
        copies = mirrored.experimental_local_results(variable.value)
        return [copy.numpy().tolist() for copy in copies]

    def states(model):
        (mean,) = [m for m in model.running_means if m.name == "loss"]
        random = [v for v in model.variables if v.name == "seed_generator_state"]
        return [mean.total, *random]

    with mirrored.scope():
        model = build()
    model.spread_random_states()
    total = mirrored.experimental_local_results(states(model)[0].value)
    for number, copy in enumerate(total):
        copy.assign(0.1 + number)
    before = [everywhere(variable) for variable in states(model)]
    assert all(first != second for first, second in before)
    Checkpoints(tmp_path).save(model, Position(0, 3))
    with mirrored.scope():
        again = build()
        assert Checkpoints(tmp_path).restore(again) == Position(0, 3)
    assert [everywhere(variable) for variable in states(again)] == before


def test_what_is_non_finite_is_not_kept(tmp_path):
    model = build()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, Position(0, 1))
    kernel = model.student.head.kernel
    kernel.assign(tf.fill(kernel.shape, float("nan")))
    with pytest.raises(NonFiniteLossError, match="kernel is non-finite after step 2"):
        checkpoints.save(model, Position(0, 2))
    with pytest.raises(NonFiniteLossError, match="kernel is non-finite after step 2"):
        checkpoints.save_best(model, Position(0, 2), "student", 0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000000001.safetensors"]


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_damaged_file_is_named_and_the_one_before_used_and_replaced(tmp_path, capsys):
    model = build()
    checkpoints = Checkpoints(tmp_path, keep=1)
    for step in (1, 2, 3):
        checkpoints.keep = step
        checkpoints.save(model, Position(0, step))
    for path in checkpoints.paths()[1:]:
        flip(path, -5)
    checkpoints.keep = 1
    assert checkpoints.restore(model) == Position(0, 1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "step-0000000003.safetensors cannot be read" in lines[0]
    assert "bytes have changed since it was written" in lines[0]
    assert lines[0].endswith("Used instead: step-0000000001.safetensors")
    checkpoints.save(model, Position(0, 2))
    assert [path.name for path in checkpoints.paths()] == [
        "step-0000000002.safetensors"
    ]
    assert checkpoints.restore(model) == Position(0, 2)


def test_damaged_best_weights_are_refused_before_training_goes_on(tmp_path):
    model = build()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, Position(1, 1))
    checkpoints.save_best(model, Position(1, 1), "teacher", 0.5)
    flip(tmp_path / "best-teacher.safetensors", -5)
    with pytest.raises(CheckpointError, match="best-teacher.* still to come is kept"):
        checkpoints.restore(model)
    (tmp_path / "best-teacher.safetensors").unlink()
    assert checkpoints.restore(model) == Position(1, 1)


def test_a_file_that_cannot_be_read_leaves_the_one_before(tmp_path):
    model = build()
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(model, Position(0, step))
    first, second = checkpoints.paths()
    second.write_bytes(second.read_bytes()[:3000])
    assert checkpoints.restore(model) == checkpoints.position() == Position(0, 1)
    arrays, _ = read_arrays(first)
    write_arrays(first, arrays, {})
    with pytest.raises(CheckpointError, match="cannot be read.*the stage starts over"):
        checkpoints.restore(model)
    second.unlink()
    with pytest.raises(CheckpointError, match="does not say how far it is"):
        checkpoints.restore(model)
