"""Encodes records (tf.train.Example messages in TFRecord shards) without TensorFlow.

Importing TensorFlow takes seconds and hundreds of megabytes in every process that builds a corpus. This module
encodes all examples of a chunk at once, while protobuf's own encoder works value by value.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from kbert.corpus.records.frames import frame_record

COMPRESSION = "GZIP"
"""The name of the shards' compression in tf.data."""
_COMPRESSION_LEVEL = 1

# Field numbers of tensorflow/core/example/{example,feature}.proto, each with protobuf's wire type 2 (length-delimited).
# An Example holds Features, which hold map entries of a key and a Feature; the Feature is a packed list of floats or
# of int64.
_FIRST_FIELD, _SECOND_FIELD = b"\x0a", b"\x12"
_KIND_FIELDS = {"f": b"\x12", "i": b"\x1a"}

Rows = tuple[np.ndarray, np.ndarray]
"""A feature of several examples: the values of all examples, int or float [N], and the end of each, [examples]."""


def encode_examples(features: Mapping[str, Rows]) -> list[bytes]:
    """Serializes tf.train.Example messages, with integers as int64 lists and other values as float lists.

    The bytes are the same as those of protobuf's deterministic encoding, which sorts the keys.
    """
    columns = [_encode_feature(name, *features[name]) for name in sorted(features)]
    return [_with_length(_FIRST_FIELD, b"".join(entries)) for entries in zip(*columns, strict=True)]


def _encode_feature(name: str, values: np.ndarray, ends: np.ndarray) -> list[bytes]:
    """Returns the map entries of a feature, one per example."""
    kind = "f" if values.dtype.kind == "f" else "i"
    if kind == "f":
        data, byte_ends = values.astype("<f4").tobytes(), (4 * np.asarray(ends)).tolist()
    else:
        data, byte_ends = _varints(values, np.asarray(ends))
    heads = _entry_heads(name, kind)
    entries, begin = [], 0
    for end in byte_ends:
        entries.append(heads(end - begin) + data[begin:end])
        begin = end
    return entries


@functools.cache
def _entry_heads(name: str, kind: str) -> Callable[[int], bytes]:
    """Returns a function that maps the size in bytes of a feature's values to the bytes that precede them."""
    key = _with_length(_FIRST_FIELD, name.encode("utf-8"))

    @functools.cache
    def head(size: int) -> bytes:
        # An empty list has no field of packed values.
        packed = _FIRST_FIELD + varint(size) if size else b""
        kind_head = _KIND_FIELDS[kind] + varint(len(packed) + size) + packed
        feature_head = _SECOND_FIELD + varint(len(kind_head) + size) + kind_head
        return _FIRST_FIELD + varint(len(key) + len(feature_head) + size) + key + feature_head

    return head


def _varints(values: np.ndarray, ends: np.ndarray) -> tuple[bytes, list[int]]:
    """Encodes integers as protobuf varints: seven bits per byte, lowest first, with bit 128 set on all but the last.

    Returns:
        The bytes of all varints, and the end of each example in them.
    """
    if not len(values) or (values.min() >= 0 and values.max() < 1 << 7):
        return values.astype(np.uint8).tobytes(), ends.tolist()
    if values.min() < 0 or values.max() >= 1 << 28:
        encoded = [varint(value & (1 << 64) - 1) for value in values.tolist()]
        bounds = np.cumsum([0, *map(len, encoded)])
        return b"".join(encoded), bounds[ends].tolist()
    # Each value becomes a 32-bit word of up to four groups of seven bits; then the unused bytes are removed.
    value = values.astype("<u4")
    word = value & 0x7F | value << 1 & 0x7F00 | value << 2 & 0x7F0000 | value << 3 & 0x7F000000
    used = np.ones_like(value)
    sizes = np.ones(len(value), np.uint8)
    for number in range(1, 4):
        longer = value >= 1 << 7 * number
        if not longer.any():
            break
        word |= longer.astype("<u4") << (8 * number - 1)
        used |= longer.astype("<u4") << 8 * number
        sizes += longer
    bounds = np.zeros(len(value) + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    return np.compress(used.view(bool), word.view(np.uint8)).tobytes(), bounds[ends].tolist()


def varint(value: int) -> bytes:
    """Encodes a non-negative integer as a protobuf varint."""
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _with_length(field: bytes, data: bytes) -> bytes:
    return field + _cached_varint(len(data)) + data


_cached_varint = functools.lru_cache(1 << 16)(varint)


def join_records(records: Iterable[bytes], *, compressed: bool = True) -> bytes:
    """Frames records and joins them, optionally as a gzip member. The results can be concatenated to a shard.

    Equal records give equal bytes. No records give no bytes, since TensorFlow takes an empty gzip member for the end
    of the file.
    """
    framed = b"".join(map(frame_record, records))
    return gzip.compress(framed, _COMPRESSION_LEVEL, mtime=0) if framed and compressed else framed
