"""The served model: same answers as Keras, with nothing but TensorFlow."""

import collections
import io
import json
import pathlib
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from semivit_tf.augment.decoding import decode
from semivit_tf.export.saved_model import export_saved_model
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.semi_vit import SemiViT
from tests.data.files import huge_png
from tests.methods.small import sharpen, small_vit

NAMES = [f"name {number}" for number in range(7)]


def jpeg(image):
    return tf.io.encode_jpeg(image, quality=95).numpy()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder with an exported model, the model, and images in all forms."""
    keras.utils.set_random_seed(0)
    model = SemiViT(small_vit(image_size=16, channels=3), 7)
    sharpen(model.student)
    sharpen(model.teacher, scale=30)
    folder = tmp_path_factory.mktemp("served")
    path = export_saved_model(model, folder / "model", NAMES, version=3)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (5, 16, 16, 3)).astype("uint8")
    np.save(folder / "images.npy", images)
    contents = [jpeg(images[0]), tf.io.encode_png(images[1]).numpy()]
    probabilities = keras.ops.softmax(model.teacher(images)).numpy()
    decoded = np.stack([decode(tf.constant(c)).numpy() for c in contents])
    from_bytes = keras.ops.softmax(model.teacher(decoded)).numpy()
    for number, content in enumerate(contents):
        (folder / f"{number}.bin").write_bytes(content)
    return folder, path, model, images, contents, probabilities, from_bytes


def test_an_image_file_too_large_is_an_error_of_its_request(served):
    _, path, _, _, contents, _, from_bytes = served
    answer = tf.saved_model.load(str(path)).signatures["serving_bytes"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Image too large"):
        answer(image_bytes=tf.constant([contents[0], huge_png()]))
    given = answer(image_bytes=tf.constant(contents))["probabilities"]
    np.testing.assert_allclose(given, from_bytes, atol=1e-5)


def test_folder_is_laid_out_for_tf_serving(served):
    folder, path, *_ = served
    assert path == folder / "model" / "3"
    assert [p.name for p in (folder / "model").iterdir()] == ["3"]
    assert (path / "saved_model.pb").exists()
    assert (path / "assets" / "class_names.txt").read_text().splitlines() == NAMES
    described = json.loads((path / "assets" / "preprocessing.json").read_text())
    assert described["image_shape"] == [16, 16, 3]
    assert described["weights"] == "teacher"


def test_the_network_and_each_weight_are_saved_once(served):
    """All signatures call one function; and the folder has no second copy."""
    _, path, model, *_ = served
    saved = tf.train.list_variables(str(path / "variables" / "variables"))
    sizes = [np.prod(shape, dtype=int) for name, shape in saved if "VALUE" in name]
    expected = [np.prod(v.shape, dtype=int) for v in model.teacher.variables]
    assert sum(sizes) == sum(expected)
    meta = saved_model_pb2.SavedModel.FromString(
        (path / "saved_model.pb").read_bytes()
    ).meta_graphs[0]
    operations = collections.Counter(
        node.op
        for function in meta.graph_def.library.function
        for node in function.node_def
    )
    assert operations["Softmax"] == 1 + 3  # of the only attention, and of answers


def test_answers_without_keras_and_without_this_package(served):
    """A process in which importing either is an error."""
    folder, path, _, _, _, probabilities, from_bytes = served
    script = textwrap.dedent(
        f"""
        import importlib.machinery, sys
        class Refuse:  # TensorFlow looks for keras, but does not need to import it
            def find_spec(self, name, *rest):
                if name.split(".")[0] in ("keras", "semivit_tf", "tf_keras"):
                    return importlib.machinery.ModuleSpec(name, self, origin="none/x")
            def create_module(self, spec):
                raise ImportError(spec.name + " is refused")
            def exec_module(self, module):
                pass
        sys.meta_path.insert(0, Refuse())
        import numpy as np, tensorflow as tf
        model = tf.saved_model.load({str(path)!r})
        images = np.load({str(folder / "images.npy")!r})
        given = dict(
            serving_default=dict(images=tf.constant(images.astype("float32"))),
            serving_uint8=dict(images=tf.constant(images)),
            serving_bytes=dict(image_bytes=tf.constant([
                open({str(folder)!r} + f"/{{n}}.bin", "rb").read() for n in (0, 1)])),
        )
        answers = {{}}
        for name, inputs in given.items():
            for key, value in model.signatures[name](**inputs).items():
                value = value.numpy()
                text = value.dtype == object
                answers[name + "/" + key] = value.astype("S") if text else value
        np.savez({str(folder / "answers.npz")!r}, **answers)
        imported = {{m.split(".")[0] for m in sys.modules}}
        assert not imported & {{"keras", "semivit_tf"}}
        """
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=folder)
    answers = dict(np.load(folder / "answers.npz"))
    expected = {
        "serving_default": (probabilities, 1e-5),
        "serving_uint8": (probabilities, 1e-5),
        "serving_bytes": (from_bytes, 1e-4),
    }
    for name, (wanted, tolerance) in expected.items():
        given = answers[f"{name}/probabilities"]
        np.testing.assert_allclose(given, wanted, atol=tolerance)
        order = np.argsort(-given, axis=1, kind="stable")[:, :5]
        np.testing.assert_array_equal(answers[f"{name}/class_index"], order[:, 0])
        np.testing.assert_array_equal(answers[f"{name}/top_class_indices"], order)
        names = np.array(NAMES, "S")[order]
        np.testing.assert_array_equal(answers[f"{name}/top_class_names"], names)
        np.testing.assert_array_equal(answers[f"{name}/class_name"], names[:, 0])
        np.testing.assert_allclose(
            answers[f"{name}/top_probabilities"],
            np.take_along_axis(given, order, axis=1),
        )
    assert probabilities.std() > 0.05  # the answers differ between images and classes


def run_saved_model_cli(path, signature, name, folder):
    """Asks as TF Serving does, by TensorFlow's first loader, with `given.npy`."""
    tool = pathlib.Path(sys.executable).parent / "saved_model_cli"
    subprocess.run(
        [
            tool,
            "run",
            *("--dir", path, "--tag_set", "serve"),
            *("--signature_def", signature),
            *("--inputs", f"{name}={folder / 'given.npy'}"),
            *("--outdir", folder),
        ],
        check=True,
        capture_output=True,
    )
    files = folder.glob("*.npy")
    return {file.stem: np.load(file, allow_pickle=True) for file in files}


@pytest.mark.parametrize(
    ("signature", "name", "tolerance"),
    [
        ("serving_default", "images", 1e-5),
        ("serving_uint8", "images", 1e-5),
        ("serving_bytes", "image_bytes", 1e-4),
    ],
)
def test_answers_through_saved_model_cli(served, tmp_path, signature, name, tolerance):
    _, path, _, images, contents, probabilities, from_bytes = served
    given, expected = {
        "serving_default": (images.astype("float32"), probabilities),
        "serving_uint8": (images, probabilities),
        "serving_bytes": (np.array(contents, "S"), from_bytes),
    }[signature]
    np.save(tmp_path / "given.npy", given)
    answer = run_saved_model_cli(path, signature, name, tmp_path)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=tolerance)


def test_the_teacher_is_served_unless_told_otherwise(served, tmp_path):
    _, _, model, images, _, probabilities, _ = served
    path = export_saved_model(model, tmp_path, NAMES, weights="student")
    answer = tf.saved_model.load(str(path)).signatures["serving_uint8"](
        images=tf.constant(images)
    )
    student = keras.ops.softmax(model.student(images)).numpy()
    np.testing.assert_allclose(answer["probabilities"], student, atol=1e-5)
    assert np.abs(student - probabilities).max() > 0.01


def test_a_broken_file_is_an_error_and_the_next_request_is_answered(served):
    _, path, _, _, contents, _, from_bytes = served
    ask = tf.saved_model.load(str(path)).signatures["serving_bytes"]
    for broken in (contents[0][:200], contents[1][:-40], b"", b"not an image"):
        with pytest.raises(tf.errors.InvalidArgumentError):
            ask(image_bytes=tf.constant([contents[0], broken]))
    answer = ask(image_bytes=tf.constant(contents))
    np.testing.assert_allclose(answer["probabilities"], from_bytes, atol=1e-4)


def test_files_of_any_size_and_colour_are_resized(served):
    _, path, *_ = served
    ask = tf.saved_model.load(str(path)).signatures["serving_bytes"]
    grey = tf.io.encode_png(np.full((40, 70, 1), 90, "uint8")).numpy()
    small = tf.io.encode_jpeg(np.full((5, 9, 3), 90, "uint8")).numpy()
    answer = ask(image_bytes=tf.constant([grey, small]))
    np.testing.assert_allclose(
        answer["probabilities"][0], answer["probabilities"][1], atol=1e-4
    )


def png(image):
    return tf.io.encode_png(image).numpy()


def one_image(served, signature, image):
    """Returns the probabilities of an image by itself."""
    name = "image_bytes" if signature == "serving_bytes" else "images"
    return served.signatures[signature](**{name: tf.constant(image)[None]})[
        "probabilities"
    ][0]


@pytest.mark.parametrize("size", [(32, 32), (4, 4), (8, 64), (17, 5)])
def test_pixels_of_another_size_are_resized_as_files_are(served, size):
    """Also where the images have as many pixels as several, or half, of one."""
    _, path, *_ = served
    loaded = tf.saved_model.load(str(path))
    images = np.random.default_rng(1).integers(0, 256, (4, *size, 3)).astype("uint8")
    expected = np.stack([one_image(loaded, "serving_bytes", png(i)) for i in images])
    assert np.ptp(expected, axis=0).max() > 0.01
    for signature, given in (
        ("serving_uint8", images),
        ("serving_default", images.astype("float32")),
    ):
        answer = loaded.signatures[signature](images=tf.constant(given))
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-4)


@pytest.mark.parametrize(
    "shape",
    [(2, 16, 16, 1), (1, 16, 16, 6), (16, 16, 3), (1, 1, 16, 16, 3), (2, 0, 16, 3)],
)
def test_pixels_that_are_no_images_of_the_model_are_refused(served, shape):
    """Their number of values fits, which is all that a served graph would notice."""
    _, path, *_ = served
    loaded = tf.saved_model.load(str(path))
    for signature, kind in (("serving_default", "float32"), ("serving_uint8", "uint8")):
        with pytest.raises(tf.errors.InvalidArgumentError):
            loaded.signatures[signature](images=tf.zeros(shape, kind))


def test_pixels_of_another_size_through_the_loader_of_tf_serving(served, tmp_path):
    _, path, *_ = served
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    np.save(tmp_path / "given.npy", images)
    given = run_saved_model_cli(path, "serving_uint8", "images", tmp_path)
    loaded = tf.saved_model.load(str(path))
    expected = np.stack([one_image(loaded, "serving_bytes", png(i)) for i in images])
    np.testing.assert_allclose(given["probabilities"], expected, atol=1e-4)


@pytest.fixture(scope="module")
def tolerant(served):
    folder, _, model, *_ = served
    return export_saved_model(
        model, folder / "tolerant", NAMES, tolerate_bad_images=True
    )


def test_a_bad_image_is_marked_and_the_others_are_answered(served, tolerant):
    """Truncated, empty, of no format, a broken header, a broken stream."""
    _, _, _, _, contents, _, from_bytes = served
    broken_stream = bytearray(contents[1])
    broken_stream[60] ^= 255
    bad = [contents[0][:200], contents[1][:-40], b"", b"not an image"]
    bad += [contents[0][:4] + bytes(40), bytes(broken_stream)]
    ask = tf.saved_model.load(str(tolerant)).signatures["serving_bytes"]
    mixed = [contents[0], *bad, contents[1]]
    answer = ask(image_bytes=tf.constant(mixed))
    valid = np.array([True, *[False] * len(bad), True])
    np.testing.assert_array_equal(answer["valid"], valid)
    probabilities = answer["probabilities"].numpy()
    np.testing.assert_allclose(probabilities[valid], from_bytes, atol=1e-4)
    np.testing.assert_allclose(probabilities[~valid], 1 / 7, rtol=1e-6)
    np.testing.assert_array_equal(
        answer["class_index"].numpy()[valid], from_bytes.argmax(axis=1)
    )
    assert set(answer["class_index"].numpy()[~valid]) == {-1}
    assert set(answer["class_name"].numpy()[~valid]) == {b""}
    assert set(answer["top_class_indices"].numpy()[~valid].ravel()) == {-1}
    for nothing in ([b""], [b"", b"x"]):
        answer = ask(image_bytes=tf.constant(nothing))
        assert not answer["valid"].numpy().any()
    assert ask(image_bytes=tf.zeros([0], tf.string))["valid"].shape == (0,)


def test_bad_images_through_the_loader_of_tf_serving(served, tolerant, tmp_path):
    _, _, _, _, contents, _, from_bytes = served
    np.save(tmp_path / "given.npy", np.array([contents[1], b"no"], "S"))
    answer = run_saved_model_cli(tolerant, "serving_bytes", "image_bytes", tmp_path)
    np.testing.assert_array_equal(answer["valid"], [True, False])
    np.testing.assert_allclose(answer["probabilities"][0], from_bytes[1], atol=1e-4)


def test_pixels_that_are_not_finite_are_marked(served, tolerant):
    _, _, _, images, _, probabilities, _ = served
    given = images.astype("float32")
    given[1, 3, 3, 0], given[4, 0, 0, 2] = np.nan, np.inf
    ask = tf.saved_model.load(str(tolerant)).signatures["serving_default"]
    answer = ask(images=tf.constant(given))
    np.testing.assert_array_equal(answer["valid"], [True, False, True, True, False])
    probabilities = probabilities.copy()
    probabilities[[1, 4]] = 1 / 7
    np.testing.assert_allclose(answer["probabilities"], probabilities, atol=1e-5)


def test_a_grey_model_answers_files_of_every_format(tmp_path):
    model = Classifier(small_vit(), 3)
    sharpen(model)
    path = export_saved_model(model, tmp_path)
    described = json.loads((path / "assets" / "preprocessing.json").read_text())
    assert described["weights"] == "classifier"
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8)).astype("uint8")
    contents = []
    for kind in ("PNG", "GIF", "BMP"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind)
        contents.append(file.getvalue())
    loaded = tf.saved_model.load(str(path))
    answer = loaded.signatures["serving_bytes"](image_bytes=tf.constant(contents))
    expected = keras.ops.softmax(model(pixels[None, :, :, None])).numpy()
    np.testing.assert_allclose(
        answer["probabilities"], np.repeat(expected, 3, axis=0), atol=1e-4
    )


def test_warmup_requests_are_read_by_the_servers_protocol(served):
    """The official messages parse the records, and the model answers them."""
    from tensorflow_serving.apis import prediction_log_pb2

    _, path, *_ = served
    model = tf.saved_model.load(str(path))
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    asked = []
    for record in tf.data.TFRecordDataset(str(file)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        signature = request.model_spec.signature_name
        inputs = {
            name: tf.constant(tf.make_ndarray(value))
            for name, value in request.inputs.items()
        }
        answer = model.signatures[signature](**inputs)
        assert answer["probabilities"].shape == (1, 7)
        asked.append(signature)
    assert sorted(asked) == sorted(model.signatures)


def test_any_model_to_logits_with_an_image_shape(tmp_path):
    model = Classifier(small_vit(), 3)
    path = export_saved_model(model, tmp_path)
    names = (path / "assets" / "class_names.txt").read_text().split()
    assert names == ["0", "1", "2"]


def test_models_made_under_mirrored_are_exported(tmp_path, mirrored):
    with mirrored.scope():
        model = SemiViT(small_vit(), 3)
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 1)).astype("float32")
    path = export_saved_model(model, tmp_path)
    answer = tf.saved_model.load(str(path)).signatures["serving_default"](
        images=tf.constant(images)
    )
    expected = keras.ops.softmax(model.teacher(images))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)


def test_a_version_that_exists_is_replaced_only_when_told(tmp_path):
    first, second = (Classifier(small_vit(), 3) for _ in range(2))
    sharpen(second)
    images = np.full((1, 8, 8, 1), 90, "uint8")

    def served():
        loaded = tf.saved_model.load(str(tmp_path / "1"))
        return one_image(loaded, "serving_uint8", images[0])

    export_saved_model(first, tmp_path)
    before = served()
    with pytest.raises(FileExistsError, match=r"another `version`, or overwrite=True"):
        export_saved_model(second, tmp_path)
    np.testing.assert_array_equal(served(), before)
    export_saved_model(second, tmp_path, overwrite=True)
    expected = keras.ops.softmax(second(images)).numpy()[0]
    np.testing.assert_allclose(served(), expected, atol=1e-5)
    assert np.abs(expected - before).max() > 0.01
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_wrong_arguments_write_nothing(tmp_path):
    model = Classifier(small_vit(), 3)
    with pytest.raises(ValueError, match="should have 3 entries. Received: 2"):
        export_saved_model(model, tmp_path, ["a", "b"])
    with pytest.raises(ValueError, match="positive integer"):
        export_saved_model(model, tmp_path, version=0)
    with pytest.raises(ValueError, match="Received: 'best'"):
        export_saved_model(model, tmp_path, weights="best")
    assert not list(tmp_path.iterdir())
