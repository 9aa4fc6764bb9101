import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
import tensorflow as tf

from kbert.errors import ServingError
from kbert.options import OptionError
from kbert.serving.options import ServeOptions
from kbert.serving.server import running_server, serve


class Rounds(tf.Module):
    """Computes for any time."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="rounds")])
    def slow(self, rounds):
        return {"rounds": tf.while_loop(lambda i: i < rounds, lambda i: [i + 1], [0])[0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("saved_models")
    module = Rounds()
    tf.saved_model.save(module, str(base / "numbers" / "1"), signatures={"slow": module.slow})
    return base


def test_a_port_in_use_is_named(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ServingError, match=f"^expected a free port. Received: port {port} of 127.0.0.1, a port in use; name"
        ):
            serve(folder, rest_port=port, grpc=False)


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(ServingError, match=r"^expected a folder that holds NAME/VERSION/saved_model\.pb"):
        serve(tmp_path, rest_port=0, grpc=False)


@pytest.mark.long
def test_sigterm_lets_the_request_in_flight_finish_and_ends_well(folder):
    program = (
        "import sys; import kbert\n"
        "kbert.prepare_runtime(quiet=True)\n"
        "kbert.serve(sys.argv[1], rest_port=0, grpc=False, on_ready=lambda at: print(at.url, flush=True))\n"
        "print('ended')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    with process:
        url = process.stdout.readline().strip()
        answers = []

        def ask():
            body = {"signature_name": "slow", "inputs": 400_000}
            answers.append(httpx.post(f"{url}/v1/models/numbers:predict", json=body, timeout=60).json())

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.5)
        assert answers == []
        process.send_signal(signal.SIGTERM)
        thread.join()
        output, errors = process.communicate(timeout=30)
    assert answers == [{"outputs": 400_000}]
    assert (process.returncode, output, errors) == (0, "ended\n", "")


def ask(server, path):
    answer = httpx.post(f"{server.url}/v1/models/{path}:predict", json={"signature_name": "slow", "inputs": 3})
    return answer.status_code, answer.json()


def test_the_only_model_may_be_named(folder):
    options = ServeOptions(rest_port=0, grpc=False, model_name="rounds", model_base_path=folder / "numbers")
    with running_server(options=options) as server:
        assert ask(server, "rounds") == (200, {"outputs": 3})
        assert server.grpc_address == ""
    with running_server(folder / "numbers") as server:
        assert ask(server, "numbers") == (200, {"outputs": 3})


@pytest.mark.parametrize("poll_seconds", [0.05, 0.0])
def test_a_file_lists_models_and_is_read_again(folder, tmp_path, poll_seconds):
    config = tmp_path / "models.config"

    def write(label):
        model = (
            f'name: "rounds" base_path: "{folder / "numbers"}" model_platform: "tensorflow" '
            f'version_labels {{ key: "{label}" value: 1 }}'
        )
        config.write_text(f"model_config_list {{ config {{ {model} }} }}")

    write("stable")
    options = ServeOptions(
        rest_port=0,
        grpc=False,
        poll_seconds=poll_seconds,
        model_config_file=config,
        model_config_poll_seconds=0.05,
    )
    with running_server(options=options) as server:
        assert ask(server, "rounds/labels/stable") == (200, {"outputs": 3})
        config.write_text("model_config_list {")  # an invalid file changes nothing
        time.sleep(0.3)
        assert ask(server, "rounds/labels/stable")[0] == 200
        write("canary")
        deadline = time.monotonic() + 10
        while ask(server, "rounds/labels/canary")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert ask(server, "rounds/labels/stable") == (
            400,
            {"error": "Unrecognized servable version label: stable"},
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "the models must be named in one way: FOLDER, model_base_path or model_config_file. Received: none of"),
        (
            {"folder": "f", "model_base_path": "b"},
            "the models must be named in one way: .*Received: FOLDER and model_base",
        ),
        ({"folder": "f", "rest": False, "grpc": False}, "one of rest and grpc must be on. Received: neither"),
        ({"folder": "f", "tls_key": "k"}, "tls_certificate and tls_key must be given together. Received: one"),
        ({"folder": "f", "tls_client_authority": "k"}, "tls_client_authority needs tls_certificate"),
        (
            {"folder": "f", "batching": False, "batch_all_models": True},
            "batch_all_models is for batches. Received: batching=False, which computes each request alone; leave one",
        ),
        (
            {"folder": "f", "batching": False, "batching_parameters_file": "p"},
            "batching_parameters_file is for batches. Received: batching=False",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(OptionError, match=f"^{message}"):
        serve(**settings)


def test_certificates_that_are_none_are_refused_before_models_are_loaded(tmp_path):
    (tmp_path / "junk").write_text("junk")
    message = r"^expected a certificate and its private key without a password, both in PEM format\. Received: .*junk"
    for certificate in ("junk", "missing"):
        with pytest.raises(ServingError, match=message):
            serve(tmp_path / "no_models", tls_certificate=tmp_path / certificate, tls_key=tmp_path / "junk")


def test_an_empty_key_is_refused(folder, tmp_path):
    (tmp_path / "key").write_text("\n")
    with pytest.raises(ServingError, match=r"^expected a file with a key\. Received: .*key, which is empty"):
        serve(folder, rest_port=0, grpc=False, api_key_file=tmp_path / "key")
