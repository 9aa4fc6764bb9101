import numpy as np
import pytest
import tensorflow as tf

from kbert.corpus.records import encoding as records


def rows(*lists, dtype=np.int64):
    return np.array([value for values in lists for value in values], dtype), np.cumsum(
        [len(values) for values in lists]
    )


FEATURES = {
    "ids": rows([1, -2, 2**62], [], [300]),
    "small": rows([0, 127], [128, 16_383], [16_384, 2**28 - 1], dtype=np.int32),
    "weights": rows([0.5, 1.0], [], [-1.0], dtype=np.float32),
    "é" * 100: rows([3], [1] * 300, [], dtype=np.uint8),
}


def values(feature):
    return list(feature.int64_list.value or feature.float_list.value)


def test_is_a_tf_example():
    """And byte for byte what protobuf writes."""
    encoded = records.encode_examples(FEATURES)
    assert len(encoded) == 3
    for number, data in enumerate(encoded):
        example = tf.train.Example.FromString(data)
        assert example.SerializeToString(deterministic=True) == data
        expected = {}
        for name, (joined, ends) in FEATURES.items():
            expected[name] = joined[ends[number - 1] if number else 0 : ends[number]].tolist()
        assert {name: values(feature) for name, feature in example.features.feature.items()} == expected
    kinds = {name: feature.WhichOneof("kind") for name, feature in example.features.feature.items()}
    assert kinds == dict.fromkeys(FEATURES, "int64_list") | {"weights": "float_list"}


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("most", [1, 127, 128, 30_522, 1 << 20, 1 << 27, 1 << 30])
def test_random_examples(dtype, most):
    most = min(most, int(np.iinfo(dtype).max))
    rng = np.random.default_rng(most)
    ends = np.cumsum(rng.integers(0, 300, 40))
    joined = rng.integers(0, most, ends[-1], endpoint=True).astype(dtype)
    for number, data in enumerate(records.encode_examples({"ids": (joined, ends)})):
        example = tf.train.Example.FromString(data)
        assert example.SerializeToString(deterministic=True) == data
        begin = ends[number - 1] if number else 0
        assert values(example.features.feature["ids"]) == joined[begin : ends[number]].tolist()


def test_no_examples():
    assert records.encode_examples({"ids": rows()}) == []


def test_bytes_depend_on_the_content_alone():
    again = dict(reversed(FEATURES.items()))
    encoded = records.encode_examples(FEATURES)
    assert records.encode_examples(again) == encoded
    assert records.join_records(encoded) == records.join_records(iter(encoded))


@pytest.mark.parametrize("compressed", [True, False])
def test_tensorflow_reads_what_was_joined(tmp_path, compressed):
    path = tmp_path / "shard.tfrecord"
    numbers = [[n, n + 1] for n in range(5)]
    halves = [[n / 2] for n in range(5)]
    encoded = records.encode_examples({"ids": rows(*numbers), "weights": rows(*halves, dtype=np.float64)})
    parts = (encoded[:2], [], encoded[2:])
    path.write_bytes(b"".join(records.join_records(part, compressed=compressed) for part in parts))
    parser = {"ids": tf.io.FixedLenFeature([2], tf.int64), "weights": tf.io.FixedLenFeature([1], tf.float32)}
    dataset = tf.data.TFRecordDataset(str(path), records.COMPRESSION if compressed else "").batch(10)
    parsed = tf.io.parse_example(next(iter(dataset)), parser)
    assert parsed["ids"].numpy().tolist() == numbers
    assert parsed["weights"].numpy().tolist() == halves


def test_tensorflow_checks_the_checksums(tmp_path):
    framed = records.join_records(records.encode_examples({"ids": rows([1, 2, 3])}), compressed=False)
    for at in [*range(12), *range(12, len(framed), 7), len(framed) - 1]:
        path = tmp_path / "shard.tfrecord"
        path.write_bytes(framed[:at] + bytes([framed[at] ^ 1]) + framed[at + 1 :])
        with pytest.raises(tf.errors.DataLossError):
            list(tf.data.TFRecordDataset(str(path)))
