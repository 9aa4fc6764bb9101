import gzip
import struct

import numpy as np
import pytest
import tensorflow as tf

from kbert.corpus import records

FEATURES = {"ids": [1, -2, 2**62], "weights": [0.5, 1.0], "array": np.array([3, 4], np.int32), "none": []}


def test_is_a_tf_example():
    example = tf.train.Example.FromString(records.encode_example(FEATURES)).features.feature
    assert set(example) == set(FEATURES)
    assert list(example["ids"].int64_list.value) == [1, -2, 2**62]
    assert list(example["weights"].float_list.value) == [0.5, 1.0]
    assert list(example["array"].int64_list.value) == [3, 4]
    assert list(example["none"].int64_list.value) == []


def test_float_arrays_are_floats():
    data = records.encode_example({"weights": np.array([1, 0], np.float32)})
    assert list(tf.train.Example.FromString(data).features.feature["weights"].float_list.value) == [1.0, 0.0]


def test_bytes_depend_on_the_content_alone():
    again = dict(reversed(FEATURES.items()))
    assert records.encode_example(again) == records.encode_example(FEATURES)
    rows = [records.encode_example(FEATURES)] * 3
    assert records.compress_records(rows) == records.compress_records(iter(rows))


def test_frame():
    """CRC-32C of "123456789" is 0xE3069283 (RFC 3720's check value), masked by rotation and a constant."""
    frame = records.frame_record(b"123456789")
    assert struct.unpack("<Q", frame[:8]) == (9,)
    assert frame[12:21] == b"123456789"
    crc = 0xE3069283
    assert struct.unpack("<I", frame[21:]) == ((((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8) & 0xFFFFFFFF,)


def test_tensorflow_reads_joined_members(tmp_path):
    path = tmp_path / "shard.tfrecord.gz"
    rows = [{"ids": [n, n + 1], "weights": [n / 2]} for n in range(5)]
    members = (rows[:2], [], rows[2:])
    path.write_bytes(b"".join(records.compress_records(map(records.encode_example, part)) for part in members))
    parser = {"ids": tf.io.FixedLenFeature([2], tf.int64), "weights": tf.io.FixedLenFeature([1], tf.float32)}
    dataset = tf.data.TFRecordDataset(str(path), records.COMPRESSION).batch(10)
    parsed = tf.io.parse_example(next(iter(dataset)), parser)
    assert parsed["ids"].numpy().tolist() == [row["ids"] for row in rows]
    assert parsed["weights"].numpy().tolist() == [row["weights"] for row in rows]


def test_tensorflow_checks_the_checksums(tmp_path):
    framed = gzip.decompress(records.compress_records([records.encode_example(FEATURES)]))
    for at in [*range(12), *range(12, len(framed), 7), len(framed) - 1]:
        path = tmp_path / "shard.tfrecord"
        path.write_bytes(framed[:at] + bytes([framed[at] ^ 1]) + framed[at + 1 :])
        with pytest.raises(tf.errors.DataLossError):
            list(tf.data.TFRecordDataset(str(path)))
