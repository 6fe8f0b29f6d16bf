"""Warm-up requests, which the server sends itself before it takes others.

TF Serving replays the requests in `assets.extra/tf_serving_warmup_requests`, a file of
`PredictionLog` records. Their few fields are described here, so that writing them needs
no package of the server.
"""

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "semivit_tf.warmup"


def _prediction_log():
    """Returns the message class with TF Serving's fields and numbers."""
    file = descriptor_pb2.FileDescriptorProto(
        name="semivit_tf/warmup.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=["tensorflow/core/framework/tensor.proto"],
    )
    field = descriptor_pb2.FieldDescriptorProto
    tensor = ".tensorflow.TensorProto"

    def message(name, *fields):
        added = file.message_type.add(name=name)
        for number, label, kind, type_name in fields:
            added.field.add(
                name=label, number=number, type=kind, type_name=type_name, label=1
            )
        return added

    message(
        "ModelSpec",
        (1, "name", field.TYPE_STRING, None),
        (3, "signature_name", field.TYPE_STRING, None),
    )
    request = message(
        "PredictRequest",
        (1, "model_spec", field.TYPE_MESSAGE, f".{_PACKAGE}.ModelSpec"),
    )
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=1)
    entry.field.add(
        name="value", number=2, type=field.TYPE_MESSAGE, type_name=tensor, label=1
    )
    request.field.add(
        name="inputs",
        number=2,
        type=field.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.PredictRequest.InputsEntry",
        label=3,
    )
    message(
        "PredictLog", (1, "request", field.TYPE_MESSAGE, f".{_PACKAGE}.PredictRequest")
    )
    message(
        "PredictionLog",
        (6, "predict_log", field.TYPE_MESSAGE, f".{_PACKAGE}.PredictLog"),
    )
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    found = pool.FindMessageTypeByName(f"{_PACKAGE}.PredictionLog")
    return message_factory.GetMessageClass(found)


def warmup_record(signature, input_name, value, model_name=""):
    """Returns one serialized request.

    Args:
        signature: String.
        input_name: String.
        value: Array.
        model_name: String. The server fills in its own when empty.
    """
    log = _prediction_log()()
    request = log.predict_log.request
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature
    request.inputs[input_name].CopyFrom(tf.make_tensor_proto(value))
    return log.SerializeToString()


def write_warmup_requests(folder, image_shape):
    """Makes a folder with one request for each signature, of a grey image."""
    image = np.full((1, *image_shape), 128)
    png = tf.io.encode_png(image[0].astype("uint8")).numpy()
    records = [
        warmup_record("serving_default", "images", image.astype("float32")),
        warmup_record("serving_uint8", "images", image.astype("uint8")),
        warmup_record("serving_bytes", "image_bytes", np.array([png], object)),
    ]
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for record in records:
            writer.write(record)
