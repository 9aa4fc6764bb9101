"""Records: tf.train.Example messages in TFRecord shards, written without TensorFlow.

TensorFlow takes seconds and hundreds of megabytes to start, which every process that builds a corpus would pay.
The message is declared here for protobuf, and the framing is the TFRecord format: length, its checksum, data, its
checksum, each checksum a masked CRC-32C (tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import functools
import gzip
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import google_crc32c
import numpy as np

COMPRESSION = "GZIP"
"""The name that tf.data knows the shards' compression by."""
_COMPRESSION_LEVEL = 1

_MASK_DELTA = 0xA282EAD8


@functools.cache
def _example_class() -> Any:
    """The class of tf.train.Example messages, in a descriptor pool of its own beside TensorFlow's."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="kbert/example.proto", package="tensorflow", syntax="proto3")

    def message(name: str) -> Any:
        return file.message_type.add(name=name)

    def add(owner: Any, name: str, number: int, kind: int, *, repeated: bool = False, of: str = "") -> None:
        label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        added = owner.field.add(name=name, number=number, type=kind, label=label)
        if of:
            added.type_name = f".tensorflow.{of}"

    add(message("BytesList"), "value", 1, field.TYPE_BYTES, repeated=True)
    add(message("FloatList"), "value", 1, field.TYPE_FLOAT, repeated=True)
    add(message("Int64List"), "value", 1, field.TYPE_INT64, repeated=True)
    feature = message("Feature")
    for number, kind in enumerate(("BytesList", "FloatList", "Int64List"), start=1):
        add(feature, kind.lower().replace("list", "_list"), number, field.TYPE_MESSAGE, of=kind)
    features = message("Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    add(entry, "key", 1, field.TYPE_STRING)
    add(entry, "value", 2, field.TYPE_MESSAGE, of="Feature")
    add(features, "feature", 1, field.TYPE_MESSAGE, repeated=True, of="Features.FeatureEntry")
    add(message("Example"), "features", 1, field.TYPE_MESSAGE, of="Features")

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def encode_example(features: Mapping[str, Sequence[int] | Sequence[float] | np.ndarray]) -> bytes:
    """Serializes a tf.train.Example; sequences of whole numbers become int64 lists, others float lists."""
    example = _example_class()()
    feature = example.features.feature
    for name, values in features.items():
        if isinstance(values, np.ndarray):
            values = values.tolist()
        kind = "float_list" if values and isinstance(values[0], float) else "int64_list"
        getattr(feature[name], kind).value.extend(values)
    # Maps have no order of their own; bytes must not depend on a hash.
    return example.SerializeToString(deterministic=True)


def frame_record(data: bytes) -> bytes:
    """One TFRecord: length, checksum, `data`, checksum."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _masked_crc(length), data, _masked_crc(data)))


def compress_records(records: Iterable[bytes]) -> bytes:
    """A gzip member of framed records. Members can be joined to a shard; equal records give equal bytes.

    No records give no bytes: TensorFlow takes an empty member for the end of the file.
    """
    framed = b"".join(map(frame_record, records))
    return gzip.compress(framed, _COMPRESSION_LEVEL, mtime=0) if framed else b""


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF)
