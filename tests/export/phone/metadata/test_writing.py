import io
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from kbert.errors import ExportError
from kbert.export.phone.metadata.phone_metadata import PhoneMetadata
from kbert.export.phone.metadata.writing import with_metadata
from kbert.inference.litert_model import interpreter, litert_model

NAMES = ("input_word_ids", "input_mask", "input_type_ids")


def model(*, names=NAMES, length=8, classes=2, dtype=tf.int32, function=None):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(length, classes)).astype(np.float32)

    def scores(*inputs):
        total = tf.cast(sum(value * factor for factor, value in enumerate(inputs, start=1)), tf.float32)
        return {"probabilities": tf.nn.softmax(total @ weights)}

    return litert_model(function or scores, [tf.TensorSpec([1, length], dtype, name=name) for name in names])


@pytest.fixture(scope="module")
def plain():
    return model()


@pytest.fixture
def metadata(vocabulary):
    return PhoneMetadata(name="films", vocabulary=vocabulary, labels=("bad", "good"))


def parsed(content):
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def metadata_buffers(content):
    """The buffers that the model's list of metadata names so."""
    read = parsed(content)
    return [bytes(read.buffers[each.buffer].data) for each in read.metadata or () if each.name == b"TFLITE_METADATA"]


def test_the_model_computes_the_same(plain, metadata):
    inputs = {name: np.arange(8, dtype=np.int32)[None] for name in NAMES}
    results = [
        interpreter(content, 1).get_signature_runner()(**inputs)["probabilities"]
        for content in (plain, with_metadata(plain, metadata))
    ]
    np.testing.assert_array_equal(*results)


def test_files_are_in_an_archive_that_is_not_compressed(plain, metadata):
    content = with_metadata(plain, metadata)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {info.filename: (info.compress_type, archive.read(info)) for info in archive.infolist()}
    assert files == {name: (zipfile.ZIP_STORED, data) for name, data in metadata.files.items()}
    assert sorted(files) == ["labels.txt", "vocab.txt"]


def test_metadata_is_a_buffer_of_the_model(plain, metadata):
    assert metadata_buffers(plain) == []
    (buffer,) = metadata_buffers(with_metadata(plain, metadata))
    assert buffer[4:8] == b"M001"
    for word in (b"ids", b"mask", b"segment_ids", b"probability", b"vocab.txt", b"labels.txt", b"1.1.0", b"films"):
        assert word in buffer


def test_equal_metadata_gives_equal_bytes_and_replaces_the_former(plain, metadata, vocabulary):
    content = with_metadata(plain, metadata)
    other = with_metadata(plain, PhoneMetadata(name="other", vocabulary=vocabulary, labels=("x", "y"), temperature=2.0))
    assert with_metadata(plain, metadata) == content
    assert with_metadata(other, metadata) == content
    assert len(metadata_buffers(content)) == 1


def test_other_metadata_of_the_model_is_kept(plain, metadata):
    others = {each.name for each in parsed(plain).metadata}
    assert others
    assert {each.name for each in parsed(with_metadata(plain, metadata)).metadata} == {*others, b"TFLITE_METADATA"}


def test_buffers_are_aligned(plain, metadata):
    content = with_metadata(plain, metadata)
    for buffer in parsed(content).buffers:
        if buffer.data is not None and len(buffer.data) > 40:
            data = bytes(buffer.data)
            assert content.count(data) == 1
            assert content.index(data) % 16 == 0


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1], (NAMES[1], NAMES[2], NAMES[0])])
@pytest.mark.long
def test_inputs_are_described_in_the_order_of_the_model(metadata, reader, names):
    """MediaPipe does not notice if two of them are swapped."""
    content = with_metadata(model(names=names), metadata)
    read = parsed(content)
    in_kbert = {each.tensorIndex: each.name.decode() for each in read.signatureDefs[0].inputs}
    roles = {"input_word_ids": "ids", "input_mask": "mask", "input_type_ids": "segment_ids"}
    (buffer,) = metadata_buffers(content)
    (graph,) = reader.root(buffer).children(3)
    assert [each.text(0) for each in graph.children(2)] == [
        roles[in_kbert[index]] for index in read.subgraphs[0].inputs
    ]


def test_outputs_without_labels_keep_their_names_in_the_order_of_the_model(vocabulary, reader):
    def logits(ids, mask, types):
        total = tf.cast(ids + mask + types, tf.float32)
        return {"start_logits": total, "end_logits": -total}

    content = with_metadata(model(function=logits), PhoneMetadata(name="answers", vocabulary=vocabulary))
    read = parsed(content)
    names = {each.tensorIndex: each.name.decode() for each in read.signatureDefs[0].outputs}
    (buffer,) = metadata_buffers(content)
    (graph,) = reader.root(buffer).children(3)
    assert [each.text(0) for each in graph.children(3)] == [names[index] for index in read.subgraphs[0].outputs]
    assert sorted(names.values()) == ["end_logits", "start_logits"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"names": ("ids", "input_mask", "input_type_ids")},
            r"^metadata is for models with the inputs input_word_ids, ",
        ),
        ({"names": NAMES[:2]}, r"int32 \[1, S\]\. Received: \w+ \[1, 8\], \w+ \[1, 8\]$"),
        ({"dtype": tf.int64}, r"^metadata is for models with the inputs"),
        ({"classes": 3}, r"^expected a model with one output, float32 \[1, 2\], .* Received: probabilities \[1, 3\]$"),
    ],
)
@pytest.mark.long
def test_models_that_the_metadata_does_not_fit_are_refused(metadata, changes, message):
    with pytest.raises(ExportError, match=message):
        with_metadata(model(**changes), metadata)


def test_several_signatures_are_refused(tmp_path, metadata):
    module = tf.Module()
    spec = [tf.TensorSpec([1, 8], tf.int32, name=name) for name in NAMES]
    for name in ("short", "long"):
        function = tf.function(lambda a, b, c: {"y": tf.cast(a + b + c, tf.float32)}, input_signature=spec)
        setattr(module, name, function)
    signatures = {name: getattr(module, name).get_concrete_function() for name in ("short", "long")}
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path), signature_keys=["short", "long"]).convert()
    with pytest.raises(ExportError, match=r"Received: 2 signatures, 2 graphs; export with one --sequence-length$"):
        with_metadata(content, metadata)
