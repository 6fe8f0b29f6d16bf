"""Positions of the image and the label in a serialized `tf.train.Example`.

Walking over the fields finds the label without reading the image, so the labels of a
large data set are found without reading all of it.

Reference: Protocol Buffers Documentation, "Encoding".
"""

# Field numbers of tensorflow/core/example/example.proto and feature.proto.
_FEATURES, _FEATURE_MAP, _KEY, _VALUE = 1, 1, 1, 2
_BYTES_LIST, _INT64_LIST, _LIST_VALUE = 1, 3, 1
_FIXED_SIZES = {1: 8, 5: 4}
_VARINT, _SIZED = 0, 2
_LONGEST_VARINT = 10


def image_and_label(read, start, stop, image, label):
    """Finds the encoded image and the label of one example.

    Args:
        read: Function `(start, size) -> bytes` of the file or string that holds the
            example; it may return less at the end.
        start: Integer. Where the example starts.
        stop: Integer. Where it ends.
        image: String. Name of the feature whose value is the encoded image.
        label: String. Name of the feature whose value is the label.

    Returns:
        Tuple of integers `(start, size, label)`: where the encoded image lies, and the
        label, -1 if the example has none.

    Raises:
        ValueError: If this is not an example, or has no such image.
    """
    found = {}
    for features in _messages(read, start, stop, _FEATURES):
        for entry in _messages(read, *features, _FEATURE_MAP):
            spans = {number: span for number, *span in _fields(read, *entry)}
            first, last = spans.get(_KEY, (0, 0))
            name = read(first, last - first).decode(errors="replace")
            found[name] = spans.get(_VALUE, (0, 0))
    encoded = _first(read, found.get(image), _BYTES_LIST)
    if encoded is None:
        raise ValueError(
            f"An example should have an image {image!r}. Received: features "
            f"{sorted(found)}"
        )
    number = _first(read, found.get(label), _INT64_LIST)
    first, last = encoded
    return first, last - first, -1 if number is None else _integer(read, *number)


def _first(read, feature, kind):
    """Returns the span of the first value of a feature that lists values of a kind."""
    if feature is not None:
        for values in _messages(read, *feature, kind):
            for value in _messages(read, *values, _LIST_VALUE):
                return value
    return None


def _messages(read, start, stop, wanted):
    for number, first, last in _fields(read, start, stop):
        if number == wanted:
            yield first, last


def _fields(read, start, stop):
    """Yields `(number, start, stop)`: where the values of the fields lie."""
    while start < stop:
        head = read(start, min(2 * _LONGEST_VARINT, stop - start))
        tag, used = _varint(head, 0)
        kind = tag & 7
        if kind == _SIZED:
            size, used = _varint(head, used)
        elif kind == _VARINT:
            size = _varint(head, used)[1] - used
        else:
            size = _FIXED_SIZES.get(kind, stop)  # No other kind fits into a record.
        first, start = start + used, start + used + size
        if start > stop:
            raise ValueError("A record should be a tf.train.Example")
        yield tag >> 3, first, start


def _varint(data, position):
    """Returns the integer of seven bits a byte, low bits first, and where it ends."""
    value = 0
    for shift, byte in enumerate(data[position : position + _LONGEST_VARINT]):
        value |= (byte & 127) << (7 * shift)
        if byte < 128:
            return value, position + shift + 1
    raise ValueError("A record should be a tf.train.Example")


def _integer(read, start, stop):
    value, _ = _varint(read(start, stop - start), 0)
    return value - 2**64 if value >= 2**63 else value
