"""Records: tf.train.Example messages in TFRecord shards, written without TensorFlow.

TensorFlow takes seconds and hundreds of megabytes to start, which every process that builds a corpus would pay.
The messages are laid out here, for all examples of a chunk at once: protobuf's own encoder takes them value by value.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from kbert.corpus.records.frames import frame_record

COMPRESSION = "GZIP"
"""The name that tf.data knows the shards' compression by."""
_COMPRESSION_LEVEL = 1

# Field numbers of tensorflow/core/example/{example,feature}.proto, each with protobuf's wire type 2 (bytes of
# a length that is given). An Example holds Features, which hold map entries of a key and a Feature; the Feature is
# a list of floats or of int64, which is packed.
_FIRST_FIELD, _SECOND_FIELD = b"\x0a", b"\x12"
_KIND_FIELDS = {"f": b"\x12", "i": b"\x1a"}

Rows = tuple[np.ndarray, np.ndarray]
"""A feature of several examples: all values joined, int or float [N], and where each example's end, [examples]."""


def encode_examples(features: Mapping[str, Rows]) -> list[bytes]:
    """Serializes tf.train.Example messages: int64 lists of whole numbers, float lists of others.

    The bytes are those of protobuf's deterministic encoding, keys in their order.
    """
    columns = [_encode_feature(name, *features[name]) for name in sorted(features)]
    return [_with_length(_FIRST_FIELD, b"".join(entries)) for entries in zip(*columns, strict=True)]


def _encode_feature(name: str, values: np.ndarray, ends: np.ndarray) -> list[bytes]:
    """The map entries of one feature, one an example."""
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
    """Gives what stands before the values of a feature, for each number of their bytes."""
    key = _with_length(_FIRST_FIELD, name.encode("utf-8"))

    @functools.cache
    def head(size: int) -> bytes:
        # What has no values is an empty list: the field of packed values is left out.
        packed = _FIRST_FIELD + varint(size) if size else b""
        kind_head = _KIND_FIELDS[kind] + varint(len(packed) + size) + packed
        feature_head = _SECOND_FIELD + varint(len(kind_head) + size) + kind_head
        return _FIRST_FIELD + varint(len(key) + len(feature_head) + size) + key + feature_head

    return head


def _varints(values: np.ndarray, ends: np.ndarray) -> tuple[bytes, list[int]]:
    """Whole numbers in protobuf's variable length: seven bits a byte, the lowest first, 128 on all but the last."""
    if not len(values) or (values.min() >= 0 and values.max() < 1 << 7):
        return values.astype(np.uint8).tobytes(), ends.tolist()
    if values.min() < 0 or values.max() >= 1 << 28:
        encoded = [varint(value & (1 << 64) - 1) for value in values.tolist()]
        bounds = np.cumsum([0, *map(len, encoded)])
        return b"".join(encoded), bounds[ends].tolist()
    # Up to four groups of seven bits, each in a byte of a 32-bit word; then the bytes that are used.
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
    """One whole number from 0 on in protobuf's variable length."""
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
    """Framed records, as a gzip member or as they are. What was joined can be joined again to a shard.

    Equal records give equal bytes. No records give no bytes: TensorFlow takes an empty member for the end of the file.
    """
    framed = b"".join(map(frame_record, records))
    return gzip.compress(framed, _COMPRESSION_LEVEL, mtime=0) if framed and compressed else framed
