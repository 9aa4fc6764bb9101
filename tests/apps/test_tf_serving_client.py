import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from kbert.serving.options import ServeOptions
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

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def numbers(self, text):
        thirds = tf.cast(tf.strings.length(text), tf.float32) / 3
        return {"thirds": tf.stack([thirds, -thirds], axis=1), "raw_bytes": text, "long": tf.strings.length(text) > 3}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def total(self, text):
        return {"total": tf.reduce_sum(tf.strings.length(text), keepdims=True)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        length = tf.cast(_texts(inputs), tf.float32)
        classes = tf.tile([["short", "long"]], [tf.size(length), 1])
        return {"classes": classes, "scores": tf.stack([1 - length / 8, length / 8], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs):
        return {"outputs": tf.cast(_texts(inputs), tf.float32)}


def _texts(examples):
    """The length of the feature `text` of serialized tf.Examples, without that of `text_pair`."""
    missing = tf.constant([""])
    features = {
        "text": tf.io.FixedLenFeature([1], tf.string),
        "text_pair": tf.io.FixedLenFeature([1], tf.string, missing),
    }
    parsed = tf.io.parse_example(examples, features)
    return tf.strings.length(parsed["text"][:, 0]) - tf.strings.length(parsed["text_pair"][:, 0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("saved_models")
    texts = Texts()
    signatures = {
        "serving_default": texts.length,
        **{name: getattr(texts, name) for name in ("join", "answer", "numbers", "total", "classify", "regress")},
    }
    tf.saved_model.save(texts, str(base / "texts" / "1"), signatures=signatures)
    return base


@pytest.fixture(scope="module")
def server(folder):
    with running_server(folder) as server:
        yield server


@pytest.fixture
def url(server):
    return server.url


@pytest.fixture
def client():
    spec = importlib.util.spec_from_file_location("client", CLIENT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["REST", "gRPC"])
def ask(request, server, client, capsys):
    """A function that runs the client in this process, with either API."""
    where = ("--url", server.url) if request.param == "REST" else ("--grpc", server.grpc_address)

    def run(*arguments):
        code = client.main([*where, "--model", "texts", *arguments])
        printed = capsys.readouterr()
        return code, [json.loads(line) for line in printed.out.splitlines()], printed.err

    return run


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
    code, _, errors = run("--model", "m", "a", "--label", "canary", "--version", "3")
    assert code == 2
    assert "not allowed with argument" in errors


def test_both_apis_print_the_same(ask):
    assert ask("one", "due") == (
        0,
        [
            {"text": "one", "prediction": {"length": 3, "upper": "ONE"}},
            {"text": "due", "prediction": {"length": 3, "upper": "DUE"}},
        ],
        "",
    )
    assert ask("--signature", "join", "--version", "1", "a", "--pair", "ß") == (
        0,
        [{"text": "a", "text_pair": "ß", "prediction": "a|ß"}],
        "",
    )
    # A float32 needs up to nine digits; the name of an output that ends in _bytes asks for Base64.
    assert ask("--signature", "numbers", "ab", "long") == (
        0,
        [
            {
                "text": "ab",
                "prediction": {"long": False, "raw_bytes": {"b64": "YWI="}, "thirds": [0.666666687, -0.666666687]},
            },
            {
                "text": "long",
                "prediction": {"long": True, "raw_bytes": {"b64": "bG9uZw=="}, "thirds": [1.33333337, -1.33333337]},
            },
        ],
        "",
    )


def test_both_apis_classify_and_regress(ask):
    classes = [{"text": "ab", "prediction": [["short", 0.75], ["long", 0.25]]}]
    assert ask("--method", "classify", "ab") == (0, classes, "")
    numbers = [
        {"text": "abc", "text_pair": "d", "prediction": 2.0},
        {"text": "", "text_pair": "ef", "prediction": -2.0},
    ]
    assert ask("--method", "regress", "abc", "", "--pair", "d", "--pair", "ef") == (0, numbers, "")


def test_both_apis_want_a_row_for_each_text(ask):
    code, lines, errors = ask("--signature", "total", "a", "b")
    assert (code, lines) == (1, [])
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1


def test_both_apis_name_the_signatures(ask):
    code, lines, errors = ask("--signature", "none", "a")
    assert (code, lines) == (1, [])
    assert errors == (
        "error: the model has no signature none; it has: answer, classify, join, numbers, regress, "
        "serving_default, total\n"
    )


def test_an_error_of_grpc_has_its_code(server, client, capsys):
    assert client.main(["--grpc", server.grpc_address, "--model", "none", "a"]) == 1
    assert capsys.readouterr().err == (
        f"error: the call to {server.grpc_address} failed with NOT_FOUND: Servable not found for request: "
        "Latest(none)\n"
    )


def test_rest_at_the_port_of_grpc(server, client, capsys):
    assert (
        client.main(
            [
                "--url",
                f"http://{server.grpc_address}",
                "--model",
                "m",
                "--inputs",
                "text",
                "a",
                "--retries",
                "0",
                "--timeout",
                "5",
            ]
        )
        == 1
    )
    errors = capsys.readouterr().err
    assert errors.startswith(f"error: no answer from http://{server.grpc_address}/v1/models/m:predict (")
    assert errors.count("\n") == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificate, is not installed")
def test_a_key_and_tls(client, folder, tmp_path, capsys):
    key, certificate, secret = (str(tmp_path / name) for name in ("key.pem", "certificate.pem", "secret.txt"))
    made = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*made.split(), "-keyout", key, "-out", certificate], capture_output=True, check=True)
    Path(secret).write_text("open sesame\n")
    options = ServeOptions(rest_port=0, grpc_port=0, tls_certificate=certificate, tls_key=key, api_key_file=secret)
    with running_server(folder, options=options) as server:
        rest, grpc_port = server.url.rpartition(":")[2], server.grpc_address.rpartition(":")[2]
        for where in (("--url", f"https://localhost:{rest}"), ("--grpc", f"localhost:{grpc_port}")):
            asked = [*where, "--model", "texts", "--retries", "0", "--timeout", "20", "abc"]
            assert client.main([*asked, "--tls-authority", certificate, "--api-key-file", secret]) == 0
            assert json.loads(capsys.readouterr().out)["prediction"]["length"] == 3
            assert client.main([*asked, "--tls-authority", certificate]) == 1
            assert re.search("401|UNAUTHENTICATED", capsys.readouterr().err)
            assert client.main([*asked, "--api-key-file", secret]) == 1
            assert capsys.readouterr().err.count("\n") == 1


def test_files_that_are_not_what_they_should_be(client, tmp_path, capsys):
    (tmp_path / "text").write_text("a text")
    asked = ["--model", "m", "a", "--url", "https://localhost:1"]
    assert client.main([*asked, "--tls-authority", str(tmp_path / "text")]) == 1
    assert capsys.readouterr().err == f"error: expected certificates in PEM. Received: {tmp_path / 'text'}\n"
    assert client.main([*asked, "--api-key-file", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith(f"error: expected a text file. Received: {tmp_path / 'none'} (")


def test_grpc_without_its_package():
    arguments = ["--grpc", "localhost:8500", "--model", "m", "a"]
    # -S hides the installed packages.
    ended = subprocess.run(
        [sys.executable, "-I", "-S", CLIENT, *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: expected the package tensorflow-serving-api for --grpc. Received: No module named 'grpc'; "
        "run pip install tensorflow-serving-api\n"
    )
