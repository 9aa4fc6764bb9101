import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from kbert.serving.server import running_server

CLIENT = Path(__file__).parents[2] / "apps" / "tf_serving" / "client.py"


class Texts(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def length(self, text):
        return {"length": tf.strings.length(text), "upper": tf.strings.upper(text)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([None], tf.string, name="text_pair"),
        ]
    )
    def join(self, text, text_pair):
        return {"joined": text + "|" + text_pair}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="question"),
            tf.TensorSpec([None], tf.string, name="context"),
        ]
    )
    def answer(self, question, context):
        return {"answer": question + "?" + context}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    base = tmp_path_factory.mktemp("saved_models")
    texts = Texts()
    signatures = {"serving_default": texts.length, "join": texts.join, "answer": texts.answer}
    tf.saved_model.save(texts, str(base / "texts" / "1"), signatures=signatures)
    with running_server(base) as server:
        yield server.url


def run(*arguments):
    """The exit code, the lines of the output, and the error output of the client."""
    ended = subprocess.run(
        [sys.executable, str(CLIENT), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout.splitlines(), ended.stderr


def test_one_line_for_each_text(url):
    code, lines, errors = run("--url", url, "--model", "texts", "one", "due")
    assert (code, errors) == (0, "")
    assert [json.loads(line) for line in lines] == [
        {"text": "one", "prediction": {"length": 3, "upper": "ONE"}},
        {"text": "due", "prediction": {"length": 3, "upper": "DUE"}},
    ]


def test_pairs(url):
    code, lines, _ = run(
        *("--url", url + "/", "--model", "texts", "--version", "1", "--signature", "join"),
        *("a", "b", "--pair", "c", "--pair", "d"),
    )
    assert code == 0
    assert lines == [
        '{"text": "a", "text_pair": "c", "prediction": "a|c"}',
        '{"text": "b", "text_pair": "d", "prediction": "b|d"}',
    ]


def test_inputs_are_named_where_their_order_cannot_be_told(url):
    asked = ("--url", url, "--model", "texts", "--signature", "answer", "who", "--pair", "me")
    code, _, errors = run(*asked)
    assert code == 1
    assert errors == ("error: name the model's inputs in the order of your texts: --inputs context,question\n")
    code, lines, _ = run(*asked, "--inputs", "question,context")
    assert (code, lines) == (0, ['{"question": "who", "context": "me", "prediction": "who?me"}'])


def test_the_server_says_no_in_one_line(url):
    code, lines, errors = run("--url", url, "--model", "none", "a")
    assert (code, lines) == (1, [])
    assert errors == (
        f"error: {url}/v1/models/none/metadata answers 404: Servable not found for request: Latest(none)\n"
    )


def test_no_server(url):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code, _, errors = run("--url", f"http://127.0.0.1:{port}", "--model", "texts", "a")
    assert code == 1
    assert "Connection refused" in errors
    assert errors.endswith("is the server running there?\n")
    assert errors.count("\n") == 1


def test_options_that_do_not_fit(url):
    code, _, errors = run("--url", url, "--model", "texts", "a", "b", "--pair", "c")
    assert code == 2
    assert "expected one --pair for each of the 2 texts. Received: 1" in errors
    code, _, errors = run("--url", url, "--model", "texts", "--signature", "join", "a")
    assert code == 1
    assert errors == "error: the model takes 2 inputs (text, text_pair). Received: 1\n"
