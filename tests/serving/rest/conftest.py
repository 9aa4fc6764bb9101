import json

import httpx
import pytest
import tensorflow as tf

from kbert.serving.server import running_server


class Texts(tf.Module):
    """Signatures over strings, one output and several."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        return {"length": tf.strings.length(text), "upper": tf.strings.upper(text)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def echo(self, text):
        return {"text": text}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def echo_bytes(self, text):
        return {"text_bytes": text}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([None], tf.string, name="text_pair"),
        ]
    )
    def pair(self, text, text_pair):
        return {"joined": text + "|" + text_pair}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def short_only(self, text):
        checks = [tf.debugging.assert_less(tf.strings.length(text), 4, message="expected texts below 4 bytes")]
        with tf.control_dependencies(checks):
            return {"text": tf.identity(text)}


class Numbers(tf.Module):
    """Signatures over numbers of several types."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def serving_default(self, x):
        return {"y": x / 10.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int8, name="x")])
    def small(self, x):
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bool, name="x")])
    def flip(self, x):
        return {"y": tf.logical_not(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bfloat16, name="x")])
    def brain(self, x):
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.complex64, name="x")])
    def imaginary(self, x):
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float64, name="x")])
    def total(self, x):
        return {"sum": tf.reduce_sum(x), "x": x}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="rounds")])
    def slow(self, rounds):
        return {"rounds": tf.while_loop(lambda i: i < rounds, lambda i: [i + 1], [0])[0]}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("saved_models")
    texts, numbers = Texts(), Numbers()
    tf.saved_model.save(
        texts,
        str(base / "texts" / "3"),
        signatures={
            name: getattr(texts, name) for name in ("serving_default", "echo", "echo_bytes", "pair", "short_only")
        },
    )
    tf.saved_model.save(
        numbers,
        str(base / "numbers" / "1"),
        signatures={
            name: getattr(numbers, name)
            for name in ("serving_default", "small", "flip", "brain", "imaginary", "total", "slow")
        },
    )
    return base


@pytest.fixture(scope="session")
def client(folder):
    with running_server(folder) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture
def predict(client):
    """A function that returns the status and the answer. json.loads reads NaN and Infinity, unlike httpx."""

    def ask(model, body):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = client.post(f"/v1/models/{model}:predict", content=content)
        return answer.status_code, json.loads(answer.content)

    return ask
