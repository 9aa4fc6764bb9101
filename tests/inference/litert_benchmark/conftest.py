"""Small LiteRT files whose operations are known."""

import numpy as np
import pytest
import tensorflow as tf

from kbert.inference.litert_model import litert_model, quiet

ROWS, WIDTH = 7, 16


def _weights(*shape):
    return tf.constant(np.random.default_rng(0).normal(size=shape).astype(np.float32))


@pytest.fixture(scope="session")
def lookup():
    """Rows of a table of 7 rows, times a matrix; LiteRT looks rows up by itself, and XNNPACK multiplies."""
    table, matrix = _weights(ROWS, WIDTH), _weights(WIDTH, WIDTH)

    def function(input_word_ids):
        return {"vectors": tf.gather(table, input_word_ids) @ matrix}

    return function


@pytest.fixture(scope="session")
def write_model(tmp_path_factory):
    """A function that writes a function of tensors as a .tflite file."""

    def write(function, *specs, quantize="none"):
        path = tmp_path_factory.mktemp("litert") / "model.tflite"
        path.write_bytes(litert_model(function, specs, quantize))
        return path

    return write


@pytest.fixture(scope="session")
def lookup_file(write_model, lookup):
    return write_model(lookup, tf.TensorSpec([1, 8], tf.int32, name="input_word_ids"))


@pytest.fixture(scope="session")
def unknown_length_file(write_model, lookup):
    return write_model(lookup, tf.TensorSpec([None, None], tf.int32, name="input_word_ids"))


@pytest.fixture(scope="session")
def two_signatures_file(tmp_path_factory, lookup):
    """The signature `long` takes 16 tokens; `short` takes 8, and has one operation more."""
    module = tf.Module()
    module.long = tf.function(lookup, input_signature=[tf.TensorSpec([1, 16], tf.int32, name="input_word_ids")])
    module.short = tf.function(
        lambda input_word_ids: {"largest": tf.argmax(lookup(input_word_ids)["vectors"], -1)},
        input_signature=[tf.TensorSpec([1, 8], tf.int32, name="input_word_ids")],
    )
    folder = tmp_path_factory.mktemp("litert")
    with quiet():
        tf.saved_model.save(module, folder / "saved", signatures={"long": module.long, "short": module.short})
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"), signature_keys=["long", "short"])
        (folder / "model.tflite").write_bytes(converter.convert())
    return folder / "model.tflite"
